extension ConfigurationSchema {
    static let serviceSections = [
        service, route, process, limits, virtualServer, virtualDisk, placement, constraints, scaling, scalingPolicy,
        scalingBehavior, scaleUpRules, scaleDownRules, scalingLimit, scalingMetric, scalingSchedule, scalingWatch,
        warmPool, healthCheck, httpProbe, loadBalancing, restart, loginRule, loginLockout,
        principal, credentialFields, success, headerSign, jsonSign, requests, instanceTLS, instanceCertificate,
        tcp, tcpSource,
    ]

    static let service = Section(
        title: "CloudService: spec",
        fields: [
            Field(
                "owner", "name of a `CloudConsumer`", none,
                "Who rents the service and pays for its instances' time; without it the operator."),
            Field(
                "routes", "list of mappings", required,
                "Which requests are for the service; with `tcp` there are none."),
            Field(
                "access", "`required`, `anonymous`", "required",
                "Whether callers need an API key. A key that is presented must be good in either case."),
            Field(
                "process", "mapping", none,
                "Instances are processes on this machine. One of this, `virtualServer` and `endpoints`."),
            Field("virtualServer", "mapping", none, "Instances are virtual servers on the `PhysicalServer`s."),
            Field(
                "endpoints", "list of `address:port`", none,
                "Instances are addresses that somebody else runs: checked, never started or stopped."),
            Field("constraints", "mapping", none, "The limits of the workload."),
            Field("scaling", "mapping", none, "How the number of instances follows the load."),
            Field("healthCheck", "mapping", none, "How instances are asked whether they work."),
            Field("loadBalancing", "mapping", none, "How requests are spread over the instances."),
            Field("restart", "mapping", none, "How failed instances are started again."),
            Field("loginRules", "list of mappings", none, "Which requests are logins, for the audit monitor."),
            Field("requests", "mapping", none, "How the gateway treats the service's requests."),
            Field(
                "tcp", "mapping", none,
                "The service serves connections of TCP instead of requests of HTTP; then it has no `routes`."),
        ])

    static let route = Section(
        title: "CloudService: spec.routes[]",
        fields: [
            Field(
                "host", "host name", none,
                "Without port; `*.example.org` matches every name below; without it every host matches."),
            Field("path", "path", "/", "A prefix of whole segments: `/a` matches `/a` and `/a/b`, not `/ab`."),
        ])

    static let process = Section(
        title: "CloudService: spec.process",
        fields: [
            Field(
                "command", "list of text", required,
                "Program and arguments. `{port}`, `{instance}` and `{service}` are replaced; `{port}` must be here or "
                    + "in `environment`."),
            Field(
                "environment", "mapping of text", none,
                "Added to PATH, HOME and LANG; the same placeholders are replaced."),
            Field(
                "workingDirectory", "absolute path", none,
                "Where the process starts; without it a directory of its own."),
            Field("outputLimit", "size", "10MiB", "Where captured output rotates; one older file is kept."),
            Field("stopGrace", "duration", "10s", "Between SIGTERM and SIGKILL."),
            Field("limits", "mapping", none, "What one instance may use."),
        ])

    static let limits = Section(
        title: "CloudService: spec.process.limits",
        fields: [
            Field("cpuMillicores", "integer, thousandths of a processor", none, "500 is half a processor."),
            Field("memory", "size", none, "The memory of one instance."),
        ])

    static let constraints = Section(
        title: "CloudService: spec.constraints",
        fields: [
            Field("minimumInstances", "integer", "1", "At least this many instances run, standbys not counted."),
            Field(
                "maximumInstances", "integer", "1",
                "Never more instances than this, whatever their phase. With `endpoints` the default is their number."),
            Field(
                "concurrentRequestsPerInstance", "integer", none,
                "Requests in flight that one instance takes at once."),
            Field("activeConsumersPerInstance", "integer", none, "Consumers that one instance serves at once."),
            Field("consumerHold", "duration", "0s", "How long a consumer keeps its place after its last request."),
            Field("concurrentRequestsPerConsumer", "integer", none, "Requests in flight of one consumer."),
            Field("requestsPerSecondPerConsumer", "integer", none, "Requests per second of one consumer, sustained."),
            Field(
                "burstPerConsumer", "integer", none,
                "Requests that one consumer may make at once beyond the rate (the token bucket's depth)."),
            Field(
                "queueLength", "integer", "1000",
                "Admitted requests that may wait for an instance, by turns of their consumers; more get 503, "
                    + "first of the consumer with the most there."),
            Field("queueTimeout", "duration", "15s", "How long an admitted request waits for an instance."),
            Field(
                "maximumWait", "duration", "5m", "The longest wait that a consumer may ask for with `Prefer: wait=N`."),
        ])

    static let scaling = Section(
        title: "CloudService: spec.scaling",
        fields: [
            Field(
                "targetUtilisationPercent", "integer, percent", "70",
                "The part of `concurrentRequestsPerInstance` to aim at."),
            Field(
                "targetConcurrency", "integer", none,
                "Requests in flight per instance to aim at where no constraint gives a capacity."),
            Field("scaleOutCooldown", "duration", "3s", "No second scale-out within this time, unless requests wait."),
            Field(
                "scaleInStabilisation", "duration", "5m", "Scale in only to the highest count wanted in this window."),
            Field(
                "tolerancePercent", "integer, percent", "10", "How far the count may be off before anything is done."),
            Field(
                "policy", "mapping", none,
                "How the demand is turned into a count; without it each sample by itself, at the target, and after a "
                    + "day by what was learned of the load."),
            Field(
                "learning", "true or false", "true",
                "Whether it is learned from the load which policy is best, where `policy` names none."),
            Field(
                "metrics", "list of mappings", none,
                "Metrics, measured or reported over the API, that are followed as well; the one that asks for most "
                    + "decides."),
            Field("schedules", "list of mappings", none, "A higher minimum of instances at certain times."),
            Field("watch", "mapping", none, "When administrators are told of the load."),
            Field("warmPool", "mapping", none, "Instances that wait, started, for a scale-out."),
            Field(
                "vertical", "`demand`, `histogram`, `throttling`", "demand",
                "By what the size of each virtual server follows the load, up to `maximumCpuMillicores`."),
            Field("dryRun", "true or false", "false", "Decisions are recorded in the event log and not carried out."),
        ])

    static let scalingMetric = Section(
        title: "CloudService: spec.scaling.metrics[]",
        fields: [
            Field(
                "metric", "`custom`, `processor`, `latency`, `requests`, `concurrency`, `queue-length`", "custom",
                "What it is. `custom` is reported, all others are measured."),
            Field(
                "name", "name", none,
                "Of a `custom` metric, as it is reported: `cloudwright scaling report SERVICE NAME VALUE`."),
            Field(
                "targetPerInstance", "integer", none,
                "What one instance takes of a `custom` metric, or is meant to have of `requests` (in a second), "
                    + "`concurrency` or `queue-length`."),
            Field(
                "targetPercent", "integer, percent", "70",
                "Of `processor`: the part to use of what an instance is allotted (`limits.cpuMillicores`, or one "
                    + "processor; a virtual server's size)."),
            Field("target", "duration", none, "Of `latency`: what the percentile is meant to be."),
            Field("percentile", "integer", "95", "Of `latency`."),
        ])

    static let scalingSchedule = Section(
        title: "CloudService: spec.scaling.schedules[]",
        fields: [
            Field(
                "days", "list of `monday`, `tuesday`, `wednesday`, `thursday`, `friday`, `saturday`, `sunday`",
                none, "The days on which it begins; without it every day."),
            Field("from", "time of day in UTC, `08:00`", required, "When it begins."),
            Field("until", "time of day in UTC", required, "When it ends; not after `from`: on the next day."),
            Field("minimumInstances", "integer", required, "At least so many instances in that time."),
        ])

    static let scalingWatch = Section(
        title: "CloudService: spec.scaling.watch",
        fields: [
            Field(
                "abovePercent", "integer, percent", none,
                "Tell when the load stays above this part of what the present instances take."),
            Field(
                "belowPercent", "integer, percent", none,
                "Tell when it stays below this part of it with more than the minimum of instances."),
            Field("lasting", "duration", "5m", "How long it has to stay there, and to be over before it is over."),
            Field(
                "limitForecast", "duration", none,
                "Tell when the load, going on as in the last minutes, will reach `maximumInstances` within this time."),
        ])

    static let warmPool = Section(
        title: "CloudService: spec.scaling.warmPool",
        fields: [
            Field(
                "instances", "integer", required,
                "So many, as far as `maximumInstances` leaves room beside the work; they are metered as any other."),
            Field(
                "parked", "`paused`, `saved`", none,
                "How virtual servers wait: in the memory of their host, or on storage. Without it they run."),
        ])

    static let scalingPolicy = Section(
        title: "CloudService: spec.scaling.policy",
        fields: [
            Field(
                "kind",
                "`horizontal`, `target-tracking`, `step`, `panic-window`, `react`, `regression`, `histogram`, "
                    + "`seasonal`, `queueing`, `experts`, `tournament`", required,
                "The policy; `docs/autoscaling.md` compares them."),
            Field(
                "decisionInterval", "duration", "15s",
                "How often the policy decides; the highest sample in between counts."),
            Field("startupTime", "duration", "30s", "From a decision to an instance that serves."),
            Field(
                "missBudgetPerMille", "integer, thousandths", "10",
                "The part of the time in which demand may exceed supply; `experts` and `tournament` aim at it."),
            Field(
                "warmUp", "duration", "5m",
                "How long an instance that serves is no full one yet; `target-tracking` counts it only then."),
            Field(
                "behavior", "mapping", none,
                "How fast `horizontal` may move, as `spec.behavior` of a HorizontalPodAutoscaler."),
        ])

    static let scalingBehavior = Section(
        title: "CloudService: spec.scaling.policy.behavior",
        fields: [
            Field(
                "scaleUp", "mapping", none,
                "Outwards; where it is given, requests that wait do not go beyond it either. Without it "
                    + "`{policies: [{type: Percent, value: 100, periodSeconds: 15}, {type: Pods, value: 4, "
                    + "periodSeconds: 15}]}`, and requests that wait scale out at once."),
            Field(
                "scaleDown", "mapping", none,
                "Inwards. Without it `{stabilizationWindowSeconds: 300, policies: [{type: Percent, value: 100, "
                    + "periodSeconds: 15}]}`."),
        ])

    static let scaleUpRules = scalingRules("scaleUp", window: "0", "Up to the lowest")
    static let scaleDownRules = scalingRules("scaleDown", window: "300", "Down to the highest")

    private static func scalingRules(_ key: String, window: String, _ meaning: String) -> Section {
        Section(
            title: "CloudService: spec.scaling.policy.behavior.\(key)",
            fields: [
                Field(
                    "stabilizationWindowSeconds", "integer, seconds", window,
                    "\(meaning) count that was wished for in this time. `scaleInStabilisation` applies as well."),
                Field(
                    "selectPolicy", "`Max`, `Min`, `Disabled`", "Max",
                    "Of several policies the one that allows the most change, or the least; or never in this "
                        + "direction."),
                Field("policies", "list of mappings", none, "So much change in a period. Without it as by default."),
            ])
    }

    static let scalingLimit = Section(
        title: "CloudService: spec.scaling.policy.behavior.scaleUp.policies[] and scaleDown",
        fields: [
            Field("type", "`Pods`, `Percent`", required, "Whether `value` is instances or percent of them."),
            Field("value", "integer", required, "How many may come, or go, in a period."),
            Field("periodSeconds", "integer, seconds", required, "The period, up to 1800."),
        ])

    static let healthCheck = Section(
        title: "CloudService: spec.healthCheck",
        fields: [
            Field("http", "mapping", none, "A GET; without it a TCP connection that is accepted passes."),
            Field("interval", "duration", "2s", "Between checks."),
            Field("fastInterval", "duration", "200ms", "Between checks of an instance that is starting or in doubt."),
            Field("timeout", "duration", "1s", "How long one check may take."),
            Field("rise", "integer", "2", "Passed checks in a row that make a down instance up."),
            Field("fall", "integer", "3", "Failed checks in a row that make an up instance down."),
        ])

    static let httpProbe = Section(
        title: "CloudService: spec.healthCheck.http",
        fields: [
            Field("path", "path", required, "What is asked for; a query is allowed."),
            Field("status", "status, or a range like `200-399`", "200-299", "The answers that pass."),
        ])

    static let loadBalancing = Section(
        title: "CloudService: spec.loadBalancing",
        fields: [
            Field(
                "algorithm", "`round-robin`, `least-request`, `consistent-hash`", "least-request",
                "`least-request` takes the less loaded of two random instances; `consistent-hash` keeps a consumer on "
                    + "one instance."),
            Field(
                "slowStart", "duration", "10s",
                "How long an instance that came back takes to its full share; 0s: at once."),
            Field(
                "drainTimeout", "duration", "30s",
                "How long a draining instance keeps its requests before they are cut."),
        ])

    static let restart = Section(
        title: "CloudService: spec.restart",
        fields: [
            Field(
                "initialBackoff", "duration", "200ms",
                "The pause before the first attempt to start again; it doubles."),
            Field("maximumBackoff", "duration", "30s", "The longest pause."),
            Field("startTimeout", "duration", "30s", "From the start to the first passed check."),
            Field("breakerThreshold", "integer", "5", "Failed starts in a row after which starting pauses."),
            Field("breakerPause", "duration", "1m", "How long it pauses."),
        ])

    static let requests = Section(
        title: "CloudService: spec.requests",
        fields: [
            Field("connectTimeout", "duration", "1s", "To connect to an instance."),
            Field("responseTimeout", "duration", "1m", "From the request's last byte to the response's first."),
            Field("idleTimeout", "duration", "1m", "The longest silence while a body moves."),
            Field(
                "tunnelTimeout", "duration", "1h",
                "The longest silence of an upgraded connection (WebSocket), and of one of TCP."),
            Field("maximumRetries", "integer", "2", "Retries of one request elsewhere, where repeating it is safe."),
            Field("retryBudgetPercent", "integer, percent", "20", "Retries as a part of the requests in flight."),
            Field("maximumBodySize", "size", none, "Larger requests get 413; without it there is no limit."),
            Field(
                "whenUnmeterable", "`refuse`, `serve`", "refuse",
                "What to do with requests whose usage cannot be recorded durably."),
            Field(
                "accessLogOneIn", "integer", none,
                "One of so many requests is in the access log, answers of 500 and more always; 0: none; without it all."
            ),
            Field("tls", "mapping", none, "Instances are spoken with over TLS and have to prove who they are."),
            Field(
                "proxyProtocol", "`v1`, `v2`", none,
                "Every connection to an instance begins with a PROXY header of this version, which says who the "
                    + "consumer is; it carries the requests of this consumer's connection alone."),
            Field(
                "instanceProtocol", "`http1`, `http2`", none,
                "What the instances speak; without it HTTP/1.1. `http2` is in clear with prior knowledge; gRPC "
                    + "needs it."
            ),
        ])
}

extension ConfigurationSchema {
    static let loginRule = Section(
        title: "CloudService: spec.loginRules[]",
        fields: [
            Field("method", "HTTP method", "POST", "The method of a login."),
            Field("path", "path", required, "The whole path of a login, without query; one of the routes leads to it."),
            Field("principal", "`basic`, or mapping", required, "Where the request says who logs in."),
            Field("success", "mapping", none, "How the response says that the login succeeded; without it by status."),
            Field(
                "whenUnauditable", "`spool`, `refuse`", "spool",
                "What becomes of logins while the log database takes no records: they are served and wait in the "
                    + "gateway's spool, which is durable and bounded (full, `requests.whenUnmeterable` decides); or "
                    + "they are refused with 503."),
            Field(
                "lockout", "mapping", none,
                "Who fails too often in a row at one address is refused there with 429, before the service hears of "
                    + "it; without it nobody is. Such logins are read whole first: 16 KiB at most."),
        ])

    static let loginLockout = Section(
        title: "CloudService: spec.loginRules[].lockout",
        fields: [
            Field(
                "failures", "integer", required,
                "Failures in a row that lock a principal out at the address (IPv6: the /64) that they came from."),
            Field("duration", "duration", "10m", "For how long; a failure that is older does not count any more."),
        ])

    static let principal = Section(
        title: "CloudService: spec.loginRules[].principal",
        fields: [
            Field("basic", "(no value)", none, "`Authorization: Basic` (RFC 7617). Written `principal: basic`."),
            Field("form", "mapping", none, "Fields of an `application/x-www-form-urlencoded` body."),
            Field("json", "mapping", none, "Top-level fields of a JSON object."),
        ])

    static let credentialFields = Section(
        title: "CloudService: spec.loginRules[].principal.form and .json",
        fields: [
            Field("field", "text", required, "The field that names who logs in."),
            Field(
                "secret", "text", none,
                "The field with the password. Only a keyed tag of it is stored, by which guesses can be told apart."),
        ])

    static let success = Section(
        title: "CloudService: spec.loginRules[].success",
        fields: [
            Field("status", "status, or a range like `200-399`", "200-399", "The login succeeded with such a status."),
            Field("header", "mapping", none, "The login succeeded if the response has this field."),
            Field("json", "mapping", none, "The login succeeded if the response is a JSON object with this field."),
        ])

    static let headerSign = Section(
        title: "CloudService: spec.loginRules[].success.header",
        fields: [
            Field("name", "field name", required, "The response's header field."),
            Field("value", "text", none, "Its value; without it any."),
        ])

    static let jsonSign = Section(
        title: "CloudService: spec.loginRules[].success.json",
        fields: [
            Field("field", "text", required, "The top-level field."),
            Field("value", "text", none, "Its value as text; without it any but null."),
        ])
}
