# SPDX-License-Identifier: Apache-2.0
"""The ten queries of the benches over the rows of `keystead gen`: in KQL, and in the SQL of the peers."""

REGEX = r"timed out after [0-9]{4,} ms .*shard-1[0-9]\b"
BY_HOUR = {"clickhouse": "toStartOfHour(TimeGenerated)", "duckdb": "date_trunc('hour', TimeGenerated)"}


def sql(text, **differing):
    """The two dialects; differing[name] = (clickhouse, duckdb) fills {name}."""
    return {engine: text.format(**{k: v[i] for k, v in differing.items()}) for i, engine in enumerate(("clickhouse", "duckdb"))}


def queries(trace):
    """{name: (kql, {engine: sql})}; trace is a TraceId that the rows have."""
    t = ("b.T_CL", "T_CL")
    return {
        "Q1 count": ("T_CL | count", sql("SELECT count(*) FROM {t}", t=t)),
        "Q2 count by status": ("T_CL | summarize count() by Status", sql("SELECT Status, count(*) FROM {t} GROUP BY Status", t=t)),
        "Q3 rare substring": ("T_CL | where Message contains 'quuxite-7731' | count",
                              sql("SELECT count(*) FROM {t} WHERE Message ILIKE '%quuxite-7731%'", t=t)),
        "Q3c the same, with case": ("T_CL | where Message contains_cs 'quuxite-7731' | count",
                                    sql("SELECT count(*) FROM {t} WHERE Message LIKE '%quuxite-7731%'", t=t)),
        "Q3t rare token": ("T_CL | where Message has 'quuxite' | count",
                           sql("SELECT count(*) FROM {t} WHERE {m}", t=t,
                               m=("hasTokenCaseInsensitive(Message, 'quuxite')", "regexp_matches(Message, '\\bquuxite\\b', 'i')"))),
        "Q4 trace id, all columns": (f"T_CL | where TraceId == '{trace}'",
                                     sql("SELECT * FROM {t} WHERE TraceId = '" + trace + "'", t=t)),
        "Q5 by service and hour: avg, p95": (
            "T_CL | summarize avg(DurationMs), percentile(DurationMs, 95) by Service, bin(TimeGenerated, 1h)",
            sql("SELECT Service, {hour} AS h, avg(DurationMs), {p} FROM {t} GROUP BY Service, h", t=t,
                hour=tuple(BY_HOUR.values()), p=("quantileExact(0.95)(DurationMs)", "quantile_disc(DurationMs, 0.95)"))),
        "Q6 top 10 by duration, all columns": ("T_CL | top 10 by DurationMs", sql("SELECT * FROM {t} ORDER BY DurationMs DESC LIMIT 10", t=t)),
        "Q7 count of a regex": (f"T_CL | where Message matches regex @'{REGEX}' | count",
                                sql("SELECT count(*) FROM {t} WHERE {m}", t=t,
                                    m=(f"match(Message, '{REGEX}')".replace("\\", "\\\\"), f"regexp_matches(Message, '{REGEX}')"))),
        "Q8 1 % of the time, count by host": (
            "T_CL | where TimeGenerated between (datetime(2026-03-01T10:00:00Z) .. datetime(2026-03-01T10:14:24Z)) | summarize count() by Host",
            sql("SELECT Host, count(*) FROM {t} WHERE TimeGenerated BETWEEN '2026-03-01 10:00:00' AND '2026-03-01 10:14:24' GROUP BY Host", t=t)),
        "Q9 distinct users, exact": ("T_CL | summarize count_distinct(UserId)", sql("SELECT count(DISTINCT UserId) FROM {t}", t=t)),
        "Q9e distinct users, estimated": ("T_CL | summarize dcount(UserId)",
                                          sql("SELECT {f}(UserId) FROM {t}", t=t, f=("uniqCombined", "approx_count_distinct"))),
        "Q10 newest 1,000 rows": ("T_CL | top 1000 by TimeGenerated", sql("SELECT * FROM {t} ORDER BY TimeGenerated DESC LIMIT 1000", t=t)),
    }
