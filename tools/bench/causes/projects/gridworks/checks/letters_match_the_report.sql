with letters as (select sum(amount) as total from {{ ref('bill_letters') }}),
report as (select sum(amount) as total from {{ ref('district_report') }})
select letters.total as letters, report.total as report
from letters, report
where abs(letters.total - report.total) > 0.5
