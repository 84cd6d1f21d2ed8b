{% test same_row_count(model, as_model) %}
select *
from (
    select
        (select count(*) from {{ model }}) as here,
        (select count(*) from {{ as_model }}) as there
)
where here <> there
{% endtest %}
