{% test recent_rows(model, column_name, hours) %}
select newest
from (select max({{ column_name }}) as newest from {{ model }})
where newest is null or newest < (now() at time zone 'utc') - interval {{ hours }} hour
{% endtest %}
