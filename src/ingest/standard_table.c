/* SPDX-License-Identifier: Apache-2.0 */
/* ingest/standard_table.c - names and columns of standard tables */
#include "ingest/standard_table.h"

#include "base/str.h"

#define S(name)        \
    {                  \
        name, T_STRING \
    }
#define R(name)      \
    {                \
        name, T_REAL \
    }
#define I(name)     \
    {               \
        name, T_INT \
    }
#define D(name)         \
    {                   \
        name, T_DYNAMIC \
    }

/* What all tables of Application Insights begin with. */
#define APP                                                                                        \
    {"TimeGenerated", T_DATETIME}, S("TenantId"), S("OperationName"), S("OperationId"),            \
        S("ParentId"), S("SyntheticSource"), S("SessionId"), S("UserId"),                          \
        S("UserAuthenticatedId"), S("UserAccountId"), S("AppVersion"), S("AppRoleName"),           \
        S("AppRoleInstance"), S("ClientType"), S("ClientModel"), S("ClientOS"), S("ClientIP"),     \
        S("ClientCity"), S("ClientStateOrProvince"), S("ClientCountryOrRegion"),                   \
        S("ClientBrowser"), S("ResourceGUID"), S("IKey"), S("SDKVersion"), I("ItemCount"),         \
        S("ReferencedItemId"), S("ReferencedType"), D("Properties"), S("SourceSystem"), S("Type"), \
        S("_ResourceId")

static const struct column requests[] = {APP,
                                         S("Id"),
                                         S("Source"),
                                         S("Name"),
                                         S("Url"),
                                         {"Success", T_BOOL},
                                         S("ResultCode"),
                                         R("DurationMs"),
                                         S("PerformanceBucket"),
                                         D("Measurements")};
static const struct column traces[] = {APP, S("Message"), I("SeverityLevel"), D("Measurements")};
static const struct column dependencies[] = {APP,
                                             S("Id"),
                                             S("Target"),
                                             S("DependencyType"),
                                             S("Name"),
                                             S("Data"),
                                             {"Success", T_BOOL},
                                             S("ResultCode"),
                                             R("DurationMs"),
                                             S("PerformanceBucket"),
                                             D("Measurements")};
static const struct column exceptions[] = {APP,
                                           S("ProblemId"),
                                           S("HandledAt"),
                                           S("ExceptionType"),
                                           S("Assembly"),
                                           S("Method"),
                                           S("Message"),
                                           S("OuterType"),
                                           S("OuterMessage"),
                                           S("OuterAssembly"),
                                           S("OuterMethod"),
                                           S("InnermostType"),
                                           S("InnermostMessage"),
                                           S("InnermostAssembly"),
                                           S("InnermostMethod"),
                                           I("SeverityLevel"),
                                           D("Details"),
                                           D("Measurements")};
static const struct column events[] = {APP, S("Name"), D("Measurements")};
static const struct column metrics[] = {APP, S("Name"), R("Sum"), R("Min"), R("Max")};
static const struct column page_views[] = {
    APP, S("Id"), S("Name"), S("Url"), R("DurationMs"), S("PerformanceBucket"), D("Measurements")};
static const struct column availability[] = {
    APP,          S("Id"),   S("Name"),       S("Location"),          {"Success", T_BOOL},
    S("Message"), R("Size"), R("DurationMs"), S("PerformanceBucket"), D("Measurements")};
static const struct column browser_timings[] = {APP,
                                                S("Name"),
                                                S("Url"),
                                                R("NetworkDurationMs"),
                                                R("SendDurationMs"),
                                                R("ReceiveDurationMs"),
                                                R("ProcessingDurationMs"),
                                                R("TotalDurationMs"),
                                                S("PerformanceBucket"),
                                                D("Measurements")};
static const struct column counters[] = {APP,          S("Name"),     S("Category"),
                                         S("Counter"), S("Instance"), R("Value")};

static const struct column syslog_columns[] = {{"TimeGenerated", T_DATETIME},
                                               S("TenantId"),
                                               S("SourceSystem"),
                                               S("MG"),
                                               S("Computer"),
                                               {"EventTime", T_DATETIME},
                                               S("Facility"),
                                               S("HostName"),
                                               S("SeverityLevel"),
                                               S("SyslogMessage"),
                                               I("ProcessID"),
                                               S("HostIP"),
                                               S("ProcessName"),
                                               S("CollectorHostName"),
                                               S("Type"),
                                               S("_ResourceId")};
static const struct column event_columns[] = {{"TimeGenerated", T_DATETIME},
                                              S("TenantId"),
                                              S("SourceSystem"),
                                              S("Source"),
                                              S("EventLog"),
                                              S("Computer"),
                                              I("EventLevel"),
                                              S("EventLevelName"),
                                              S("ParameterXml"),
                                              S("EventData"),
                                              I("EventID"),
                                              S("RenderedDescription"),
                                              S("AzureDeploymentID"),
                                              S("Role"),
                                              I("EventCategory"),
                                              S("UserName"),
                                              S("Message"),
                                              S("MG"),
                                              S("ManagementGroupName"),
                                              S("Type"),
                                              S("_ResourceId")};

#define TABLE(name, columns, streams)                                                          \
    {                                                                                          \
        name, {.n = sizeof(columns) / sizeof(columns)[0], .cols = (struct column *)(columns)}, \
            streams                                                                            \
    }
static const struct standard_table tables[] = {
    TABLE("AppAvailabilityResults", availability, false),
    TABLE("AppBrowserTimings", browser_timings, false),
    TABLE("AppDependencies", dependencies, false),
    TABLE("AppEvents", events, false),
    TABLE("AppExceptions", exceptions, false),
    TABLE("AppMetrics", metrics, false),
    TABLE("AppPageViews", page_views, false),
    TABLE("AppPerformanceCounters", counters, false),
    TABLE("AppRequests", requests, false),
    TABLE("AppTraces", traces, false),
    TABLE("Event", event_columns, true),
    TABLE("Syslog", syslog_columns, true),
};

const struct standard_table *standard_table_at(uint32_t i)
{
    return i < sizeof tables / sizeof tables[0] ? &tables[i] : NULL;
}

const struct standard_table *standard_table_find(const char *name)
{
    for (uint32_t i = 0; standard_table_at(i) != NULL; i++) {
        if (str_eq_nocase(tables[i].name, name)) return &tables[i];
    }
    return NULL;
}
