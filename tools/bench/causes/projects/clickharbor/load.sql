-- The collector's stream and two lists of the marketing platform. Events end an hour ago.
create schema if not exists collector;
create schema if not exists platform;

create or replace table collector.events as
with visits as (
    select
        v,
        (hash(v * 3) % 70 + 1)::integer as visitor_no,
        date_trunc('minute', (now() at time zone 'utc')) - interval 1 hour - to_minutes((v * 55)::bigint) as started_at
    from range(0, 160) as r(v)
)
select
    md5('event' || v || '-' || e) as event_id,
    format('visitor-{:04d}', visitor_no) as anonymous_id,
    case when visitor_no % 3 = 0 then format('user{}@example.org', visitor_no) end as user_email,
    started_at - to_minutes((6 * (4 - e))::bigint) as occurred_at,
    case when e < 4 then 'page_view' when hash(v * 7) % 4 = 0 then 'purchase' else 'page_view' end as event_name,
    '/' || ['home', 'boats', 'charter', 'pricing', 'journal'][(hash(v * 11 + e) % 5 + 1)::integer] as page_path,
    'https://clickharbor.example/?utm_source='
        || ['newsletter', 'search', 'social', 'partner'][(hash(v * 13) % 4 + 1)::integer]
        || '&utm_campaign=' || ['C10', 'C20', 'C30', 'C40', 'C50'][(hash(v * 17) % 5 + 1)::integer] as page_url,
    ['desktop', 'phone', 'tablet'][(hash(visitor_no * 19) % 3 + 1)::integer] as device,
    ['DE', 'US', 'GB', 'JP'][(hash(visitor_no * 23) % 4 + 1)::integer] as country,
    case when e = 4 and hash(v * 7) % 4 = 0 then (hash(v * 29) % 400 + 40)::decimal(10, 2) end as revenue,
    ['USD', 'EUR', 'GBP'][(hash(visitor_no * 31) % 3 + 1)::integer] as currency,
    false as is_bot,
    (now() at time zone 'utc') - interval 20 minute as ingested_at
from visits, range(1, 5) as r(e)
where e in (1, 4) or hash(v * 37 + e) % 3 <> 0;

create or replace table platform.campaigns as
select
    c.code as campaign_code,
    c.title as campaign_title,
    c.channel,
    c.budget::decimal(10, 2) as budget_usd,
    (now() at time zone 'utc') - interval 4 hour as synced_at
from (
    values
    ('C10', 'Spring charter', 'search', 1200), ('C20', 'Weekend sails', 'social', 800),
    ('C30', 'Harbour journal', 'newsletter', 300), ('C40', 'Partner marinas', 'partner', 650),
    ('C50', 'Last berths', 'search', 500)
) as c(code, title, channel, budget);

create or replace table platform.ad_costs as
select
    c.campaign_code,
    current_date - d::integer as cost_date,
    (hash(d * 41 + c.budget_usd::integer) % 40 + 5)::decimal(10, 2) as cost_usd,
    (hash(d * 43 + c.budget_usd::integer) % 300 + 20)::integer as clicks,
    (now() at time zone 'utc') - interval 4 hour as synced_at
from platform.campaigns as c, range(0, 8) as r(d);
