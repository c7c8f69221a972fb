import CloudModel
import ConfigurationFile
import Testing

@Suite struct ConfigurationFaultTests {
    @Test func allFaultsAreReportedAtOnceInTheOrderOfTheFile() {
        let text = """
            apiVersion: cloudwright/v1
            kind: Cloud
            metadata: {name: demo}
            spec:
              gatway: {loops: 2}
              gateway:
                loops: many
            ---
            apiVersion: cloudwright/v1
            kind: CloudService
            metadata: {name: Web}
            spec:
              owner: nobody
              routes: [{path: nowhere}]
              process:
                command: [run]
              constraints:
                minimumInstances: 4
                maximumInstances: 3
                queueTimeout: 15
            ---
            apiVersion: cloudwright/v1
            kind: CloudConsumer
            metadata: {name: acme}
            spec:
              entitlements: [wbe]
            """
        let expected = [
            "cloud.yaml:5:3: unknown key 'gatway' in spec; did you mean 'gateway'?",
            "cloud.yaml:7:12: spec.gateway.loops is 'many', not a whole number; write digits only",
            "cloud.yaml:11:18: 'Web' is not a name; use 1 to 63 lower-case",
            "cloud.yaml:13:10: there is no CloudConsumer 'nobody'; declare it",
            "cloud.yaml:14:19: 'nowhere' is a path that no request can have; begin it with /",
            "cloud.yaml:16:5: the placeholder {port} is neither in the command nor",
            "cloud.yaml:19:23: the maximum (3) is below the minimum (4); raise it to 4",
            "cloud.yaml:20:19: spec.constraints.queueTimeout is '15', not a duration; write a whole number and a unit",
            "cloud.yaml:26:18: there is no CloudService 'wbe'; declare it",
        ]
        let faults = Sample.faults(text)
        #expect(faults.count == expected.count)
        for (fault, start) in zip(faults, expected) { #expect(fault.hasPrefix(start)) }
    }

    /// One price each: what it has, and what the fault must say.
    @Test(arguments: [
        ("id: a, meter: request", "'spec.prices[0].price' is missing"),
        ("id: a, price: 1", "it does not say what it counts; write one of instance-hour"),
        ("id: a, meter: hour, price: 1", "is 'hour', not one of instance-hour"),
        ("id: A, meter: request, price: 1", "'A' is not a name"),
        ("id: a, meter: request, price: 1e3", "is '1e3', not a decimal number"),
        ("id: a, meter: request, price: -1", "-1 is negative; give 0 or more"),
        ("id: a, meter: request, price: 1, service: nil-service", "there is no CloudService 'nil-service'"),
        ("id: a, meter: request, price: 1, tiers: []", "a price of model per-unit has no tiers; remove it"),
        ("id: a, meter: request, model: flat, price: 1", "a flat price counts nothing"),
        ("id: a, meter: request, model: package, price: 1", "'spec.prices[0].packageSize' is missing"),
        ("id: a, meter: request, model: package, price: 1, packageSize: 0", "a package of nothing never ends"),
        ("id: a, meter: request, model: volume", "'spec.prices[0].tiers' is missing"),
        ("id: a, meter: request, model: volume, tiers: []", "there are 0 tiers; give 1 to 100"),
        (
            "id: a, meter: request, model: graduated, tiers: [{upTo: 5, price: 1}]",
            "units beyond it would have no price"
        ),
        ("id: a, meter: request, model: graduated, tiers: [{price: 1}, {price: 1}]", "only the last tier is without"),
        (
            "id: a, meter: request, model: volume, tiers: [{upTo: 5, price: 1}, {upTo: 5, price: 1}, {price: 2}]",
            "it does not end above the tier before"
        ),
        (
            "id: a, meter: request, price: 1, from: 2026-02-01T00:00:00Z, until: 2026-01-01T00:00:00Z",
            "it ends before it begins"
        ),
    ])
    func faultsOfPrices(price: String, message: String) {
        let faults = Sample.faults(
            Sample.cloud + Sample.document("PricePlan", "gold", "currency: EUR\nprices: [{\(price)}]"))
        #expect(faults.count == 1 && faults[0].contains(message), "\(faults)")
    }

    @Test func faultsOfAPlanAndOfWhoPaysByIt() {
        let plan = """
            currency: XAU
            timeZone: Europe/Berlln
            prices: [{id: a, meter: request, price: 1}, {id: a, meter: request, price: 2}]
            """
        let faults = Sample.faults(
            Sample.cloud + Sample.document("PricePlan", "gold", plan)
                + Sample.document(
                    "PricePlan", "blue", plan.replacing("XAU", with: "EUR").replacing("Berlln", with: "Rome2"))
                + Sample.document("CloudConsumer", "acme", "pricePlan: silver"))
        let expected = [
            "'XAU' is no currency of ISO 4217", "'Europe/Berlln' is not in the time zone database",
            "'Europe/Rome2' is not in the time zone database", "another price of the plan has the id 'a'",
            "there is no PricePlan 'silver'",
        ]
        #expect(faults.count == expected.count, "\(faults)")
        for (fault, part) in zip(faults, expected) { #expect(fault.contains(part)) }
    }

    /// One line each: what the file has, and what the fault must say. All come from a service's `spec`.
    @Test(arguments: [
        ("acess: anonymous", "unknown key 'acess' in spec; did you mean 'access'?"),
        ("zzz: 1", "unknown key 'zzz' in spec; known are: owner, routes, access"),
        ("access: open", "spec.access is 'open', not one of required, anonymous"),
        ("scaling: [1]", "spec.scaling is not a mapping; write it as keys and values"),
        ("scaling: {targetUtilisationPercent: 0}", "0 is out of range; give 1 to 100"),
        ("scaling: {targetUtilisationPercent: \"70%\"}", "is '70%', not a whole number"),
        ("scaling: {targetConcurrency: -1}", "is '-1', not a whole number"),
        ("scaling: {policy: {}}", "'spec.scaling.policy.kind' is missing; name a policy"),
        ("scaling: {policy: {kind: magic}}", "is 'magic', not one of horizontal, target-tracking"),
        ("scaling: {policy: {kind: step}}", "nothing says how much an instance takes"),
        (
            "scaling: {targetConcurrency: 1, policy: {kind: step, startupTime: 2h}}",
            "2h is out of range; give 0s to 1h"
        ),
        (
            "scaling: {targetConcurrency: 1, policy: {kind: step, behavior: {scaleUp: {selectPolicy: Disabled}}}}",
            "step has no behavior; leave it out, or take kind: horizontal"
        ),
        (
            "scaling: {targetConcurrency: 1, policy: {kind: horizontal, behavior: {scaleUp: {policies: []}}}}",
            "nothing could ever change; give one, for example {type: Pods"
        ),
        (
            "scaling: {policy: {kind: horizontal, behavior: {scaleDown: {policies: [{type: Pods, value: 1}]}}}}",
            "say in how many seconds: periodSeconds: 15"
        ),
        ("scaling: {policy: {kind: horizontal, behavior: {scaleDwon: {}}}}", "did you mean 'scaleDown'?"),
        (
            "scaling: {targetConcurrency: 1, policy: {kind: target-tracking, warmUp: 2h}}",
            "2h is out of range; give 0s to 1h"
        ),
        ("scaling: {metrics: [{targetPerInstance: 1}]}", "name the metric: name: jobs-waiting"),
        ("scaling: {vertical: sideways}", "is 'sideways', not one of demand, histogram, throttling"),
        ("scaling: {vertical: histogram}", "there is no size to follow histogram"),
        ("scaling: {warmPool: {}}", "say how many wait: instances: 1"),
        ("scaling: {warmPool: {instances: 0}}", "0 is out of range; give 1 to 1000"),
        ("scaling: {warmPool: {instances: 1, parked: saved}}", "only virtual servers are parked"),
        ("scaling: {metrics: [{metric: memory}]}", "is 'memory', not one of custom, processor, latency"),
        ("scaling: {metrics: [{metric: latency}]}", "say how long requests may take: target: 200ms"),
        ("scaling: {metrics: [{metric: latency, target: 0s}]}", "0s is out of range; give 1ms to 10m"),
        ("scaling: {metrics: [{metric: latency, target: 1s, percentile: 0}]}", "0 is out of range; give 1 to 100"),
        ("scaling: {metrics: [{metric: processor, targetPercent: 101}]}", "101 is out of range; give 1 to 100"),
        ("scaling: {metrics: [{metric: processor, targetPerInstance: 5}]}", "processor has no targetPerInstance"),
        ("scaling: {metrics: [{metric: requests}]}", "say what one instance takes of it"),
        (
            "scaling: {metrics: [{metric: processor}, {metric: processor}]}",
            "the metric 'processor' is there twice"
        ),
        ("constraints: {maximumInstances: 0}", "0 is out of range; give 1 to 10000"),
        ("constraints: {maximumInstances: {a: 1}}", "is a mapping, not a whole number"),
        ("constraints: {burstPerConsumer: 5}", "a burst without a rate limits nothing"),
        ("constraints: {maximumInstances: 99999999999999999999}", "not a whole number"),
        ("constraints: {queueTimeout: 5h}", "5h is out of range; give 0s to 1h"),
        ("constraints: {concurrentRequestsPerInstance: 10}\nscaling: {targetConcurrency: 11}", "lower it to 10"),
        ("endpoints: [\"10.0.0.1:80\"]", "the service has both 'process' and 'endpoints'"),
        ("healthCheck: {http: {}}", "'spec.healthCheck.http.path' is missing; say what to ask for"),
        ("healthCheck: {http: {path: healthz}}", "'healthz' is not a path"),
        ("healthCheck: {http: {path: /, status: 2xx}}", "is '2xx', not a status or a range of them"),
        ("healthCheck: {http: {path: /, status: 399-200}}", "is '399-200', not a status"),
        ("healthCheck: {http: {path: /, status: 200-999}}", "a status is from 100 to 599"),
        ("healthCheck: {interval: 1s, fastInterval: 2s}", "2s is longer than interval, 1s"),
        ("healthCheck: {rise: 0}", "0 is out of range; give 1 to 100"),
        ("loadBalancing: {algorithm: least-requests}", "not one of round-robin, least-request, consistent-hash"),
        ("restart: {initialBackoff: 1m, maximumBackoff: 1s}", "1s is shorter than initialBackoff, 1m"),
        ("requests: {maximumBodySize: 10}", "is '10', not a size"),
        ("requests: {maximumRetries: 11}", "11 is out of range; give 0 to 10"),
        ("requests: {accessLogOneIn: 2000000}", "2000000 is out of range; give 0 to 1000000"),
        ("loginRules: [{path: /login}]", "'spec.loginRules[0].principal' is missing"),
        ("loginRules: [{path: /login, principal: cookie}]", "principal is not a mapping"),
        ("loginRules: [{path: /login, principal: {}}]", "has none of basic, form and json"),
        ("loginRules: [{path: /login, principal: {form: {secret: p}}}]", "form.field' is missing"),
        ("loginRules: [{path: /login, principal: basic, success: {status: 200, json: {field: t}}}]", "has several of"),
        ("loginRules: [{path: /login, principal: basic, method: post}]", "'post' is not a method"),
        ("loginRules: [{path: /a?b, principal: basic}]", "'/a?b' is a path that no request can have"),
        (
            "loginRules: [{path: /login, principal: basic}, {path: //LOGIN, principal: basic}]",
            "another rule has the same method and path"
        ),
        (
            "loginRules: [{path: /l, principal: basic, success: {header: {name: \"a b\"}}}]",
            "'a b' is not a field's name"
        ),
    ])
    func aServicesFaults(_ line: String, _ message: String) {
        let faults = Sample.faults(Sample.cloud + Sample.service("web", line))
        #expect(faults.contains { $0.contains(message) }, "\(faults)")
    }

    @Test(arguments: [
        ("process: {command: [run]}", "the placeholder {port}"),
        ("process: {command: []}", "there is no program to run"),
        ("process: {}", "'spec.process.command' is missing"),
        ("process: {command: run --port}", "spec.process.command is a single value, not a list"),
        ("process: {command: [run], environment: [A]}", "spec.process.environment is a list, not a mapping"),
        ("process: {command: [run, \"{port}\"], workingDirectory: here}", "'here' is not an absolute path"),
        ("process: {command: [run, \"{port}\"], limits: {memory: 1KiB}}", "1KiB is out of range"),
        ("process: {command: [run, \"{port}\"], environment: {\"A=B\": 1}}", "'A=B' is not a variable's name"),
        ("endpoints: [localhost:80]", "'localhost' is not an IP address; write the address, not a name"),
        ("endpoints: [\"10.0.0.1:0\"]", "0 is not a port"),
        ("endpoints: [\"10.0.0.1\"]", "is '10.0.0.1', not an address with a port"),
        ("endpoints: [\"10.0.0.1:80\", \"10.0.0.1:80\"]", "10.0.0.1:80 is there twice"),
        (
            "endpoints: [\"10.0.0.1:80\", \"10.0.0.2:80\"]\nconstraints: {maximumInstances: 1}",
            "the service has 2 endpoints, but maximumInstances is 1"
        ),
        ("endpoints: [\"10.0.0.1:80\"]\nconstraints: {minimumInstances: 2, maximumInstances: 2}", "nobody starts"),
        ("endpoints: []", "the service has no instances"),
        ("access: anonymous", "the service has neither 'process' nor 'virtualServer' nor 'endpoints'"),
    ])
    func whatItsInstancesAre(_ spec: String, _ message: String) {
        let text = Sample.cloud + Sample.document("CloudService", "web", "routes: [{path: /}]\n\(spec)")
        let faults = Sample.faults(text)
        #expect(faults.contains { $0.contains(message) }, "\(faults)")
        #expect(faults.count == 1, "\(faults)")
    }

    @Test(arguments: [
        ("routes: []", "the service has no route"),
        ("routes: web", "spec.routes is a single value, not a list"),
        ("access: anonymous", "'spec.routes' is missing"),
        ("routes: [{path: /a/../b}]", "'/a/../b' is a path that no request can have"),
        (
            "routes: [{host: \"example.org:80\"}]",
            "'example.org:80' is not a host name; write it without scheme and port"
        ),
        ("routes: [{host: \"http://a\"}]", "is not a host name"),
        ("routes: [{host: \"a.*.org\"}]", "is not a host name"),
        ("routes: [{host: \"[::g]\"}]", "is not an IPv6 address"),
        ("routes: [{path: /a}, {path: //a/}]", "the route is there twice"),
    ])
    func itsRoutes(_ spec: String, _ message: String) {
        let text =
            Sample.cloud
            + Sample.document("CloudService", "web", "\(spec)\nprocess: {command: [run, \"{port}\"]}")
        let faults = Sample.faults(text)
        #expect(faults.count == 1 && faults[0].contains(message), "\(faults)")
    }

    @Test func aLoginThatNoRouteLeadsToIsAFault() {
        let text =
            Sample.cloud
            + Sample.service("web", "loginRules: [{path: /login, principal: basic}]", path: "/shop")
        #expect(Sample.faults(text).first?.contains("no route of the service leads to '/login'") == true)
        let reached =
            Sample.cloud
            + Sample.service("web", "loginRules: [{path: /shop/login, principal: basic}]", path: "/shop")
        #expect(Sample.faults(reached).isEmpty)
    }

    @Test func twoServicesWithTheSameRoute() {
        let text = Sample.cloud + Sample.service("a") + Sample.service("b")
        let faults = Sample.faults(text)
        #expect(faults.count == 1)
        #expect(faults.first?.hasPrefix("cloud.yaml:18:12: service 'a' has the same route") == true, "\(faults)")
    }

    @Test(arguments: [
        ("mode: active-passive", "there is no room for 1 standbys"),
        ("mode: active-active", "may have only one instance: nothing can stand in"),
        ("mode: active-passive\nstandbys: 0", "0 is out of range; give 1 to 100"),
        ("mode: both", "spec.mode is 'both', not one of active-active, active-passive"),
        ("standbys: 1", "'spec.mode' is missing"),
        ("mode: active-passive\nrecoveryAttempts: 101", "101 is out of range"),
    ])
    func aFailoverGroupsFaults(_ spec: String, _ message: String) {
        let text =
            Sample.cloud + Sample.service()
            + Sample.document("FailoverGroup", "g", "service: web\n\(spec)")
        #expect(Sample.faults(text).contains { $0.contains(message) }, "\(Sample.faults(text))")
    }

    @Test func groupsAndTheirServices() {
        let group = { (name: String, service: String) in
            Sample.document("FailoverGroup", name, "service: \(service)\nmode: active-active")
        }
        let web = Sample.service("web", "constraints: {maximumInstances: 2}")
        #expect(Sample.faults(Sample.cloud + web + group("a", "web")).isEmpty)
        #expect(Sample.faults(Sample.cloud + web + group("a", "wbe"))[0].contains("there is no CloudService 'wbe'"))
        #expect(
            Sample.faults(Sample.cloud + web + group("a", "web") + group("b", "web"))[0]
                .contains("service 'web' is in failover group 'a' already"))
    }

    private static let digest = String(repeating: "0", count: 64)

    @Test(arguments: [
        ("contacts: [{email: a}]", "'a' is not a mail address"),
        ("contacts: [{email: a@b.c}]", "mail goes nowhere: the cloud has no mail relay"),
        ("contacts: [sms]", "spec.contacts[0] is not a mapping"),
        ("contacts: [{webhook: {url: \"ftp://x\"}}]", "'ftp://x' is not an http or https URL"),
        ("contacts: [{webhook: {}}]", "'spec.contacts[0].webhook.url' is missing"),
        ("contacts: [{webhook: {url: \"http://x\"}, email: a@b.c}]", "spec.contacts[0] is not one channel"),
        ("entitlements: web", "spec.entitlements is a single value, not a list"),
        ("credentials: [{id: a, prefix: cw_1}]", "'spec.credentials[0].digest' is missing"),
        ("credentials: [{id: a, prefix: cw_1, digest: abc}]", "the digest is not 64 lower-case hex digits"),
        (
            "credentials: [{id: a, prefix: cw_0123456789abcdef, digest: \(digest)}]",
            "if it was the whole key, revoke that key"
        ),
        ("credentials: [{id: a, prefix: x, digest: \(digest), expiresAt: tomorrow}]", "is 'tomorrow', not a time"),
        ("credentials: [{id: a, prefix: x, digest: \(digest), revoked: no}]", "is 'no', not true or false"),
        (
            "credentials: [{id: a, prefix: x, digest: \(digest)}, {id: a, prefix: x, digest: \(digest)}]",
            "credential 'a' is the same key"
        ),
        ("key: cw_secret", "unknown key 'key' in spec"),
        ("budget: {amount: 1}", "an amount of money needs a price plan"),
        ("quota: {amount: 1}", "an amount of money needs a price plan"),
        ("budget: {}", "'spec.budget.amount' is missing"),
        ("budget: {amount: 1, thresholds: [50, 50]}", "are no thresholds"),
        ("budget: {amount: 1, thresholds: []}", "are no thresholds"),
        ("quota: {}", "the quota limits nothing"),
        ("quota: {requests: 0}", "0 is out of range"),
    ])
    func aConsumersFaults(_ spec: String, _ message: String) {
        let faults = Sample.faults(Sample.cloud + Sample.document("CloudConsumer", "acme", spec))
        #expect(faults.contains { $0.contains(message) }, "\(faults)")
    }

    @Test(arguments: [
        ("dataDirectory: data", "'data' is not an absolute path"),
        ("gateway: {listeners: []}", "the gateway has no address to listen on"),
        ("gateway: {listeners: [\"localhost:80\"]}", "'localhost' is not an IP address"),
        (
            "gateway: {listeners: [{address: \"127.0.0.1:1\", proxyProtocolFrom: [10.0.0.0/33]}]}",
            "'10.0.0.0/33' is not a network"
        ),
        ("gateway: {listeners: [{address: \"127.0.0.1:1\", tls: {certificates: []}}]}", "there is no certificate"),
        (
            "gateway: {listeners: [{address: \"[::1]:1\", tls: {certificates: [{certificateFile: a, keyFile: /}]}}]}",
            "'a' is not an absolute path"
        ),
        ("gateway: {listeners: [\"127.0.0.1:8081\"]}", "127.0.0.1:8081 is also spec.gateway.listeners[0]"),
        ("gateway: {loops: 0}", "0 is out of range; give 1 to 1024"),
        ("instanceLease: 1ms", "1ms is out of range"),
        ("audit: {alarmFailures: 1}", "1 is out of range; give 2 to 1000"),
        ("audit: {lockoutFailures: 101}", "101 is out of range; give 2 to 100"),
        ("audit: {lockoutDuration: 25h}", "25h is out of range"),
        ("audit: {alarmWindow: 0s}", "0s is out of range"),
        ("smtp: {host: h}", "'spec.smtp.from' is missing"),
        ("smtp: {host: h, from: a@b.c, user: u}", "only one of user and passwordFile is given"),
        ("smtp: {host: h, from: a@b.c, port: 70000}", "is '70000', not a port"),
        ("smtp: {host: h, from: a@b.c, user: u, passwordFile: /p, encryption: none}", "in clear"),
        ("smtp: {host: \"smtp://h\", from: a@b.c}", "'smtp://h' is not a host"),
        ("smtp: {host: h, from: \"a@b.c\\nBcc: x\"}", "is not a mail address"),
    ])
    func thePlatformsFaults(_ spec: String, _ message: String) {
        let faults = Sample.faults(Sample.document("Cloud", "demo", spec))
        #expect(faults.contains { $0.contains(message) }, "\(faults)")
        #expect(faults.count == 1, "\(faults)")
    }

    @Test func theFileAsAWhole() {
        #expect(Sample.faults("")[0].contains("the file has no document of kind Cloud"))
        #expect(Sample.faults(Sample.service())[0].contains("the file has no document of kind Cloud"))
        #expect(Sample.faults(Sample.cloud + "---\n" + Sample.cloud)[0].contains("second document of kind Cloud"))
        #expect(Sample.faults(Sample.cloud + "---\n- a\n")[0].contains("the document is not a mapping"))
        let twice = Sample.faults(Sample.cloud + Sample.service() + Sample.service("web", path: "/b"))
        #expect(twice.count == 1 && twice[0].contains("CloudService 'web' is declared again (first in line 6)"))
        #expect(Sample.faults(Sample.cloud + "---\nkind: CloudService\n").count == 3)
        #expect(
            Sample.faults(Sample.cloud.replacing("/v1", with: "/v2"))[0]
                .contains("apiVersion is 'cloudwright/v2', which this program does not know"))
        #expect(Sample.faults(Sample.cloud + Sample.document("Service", "a", "x: 1"))[0].contains("kind is 'Service'"))
        #expect(Sample.faults(String(repeating: "#", count: 5 << 20))[0].contains("longer than 4MiB"))
    }

    /// A fault of the YAML itself has its place, and does not hide the faults of other documents.
    @Test func faultsOfTheYAML() {
        let unclosed = Sample.faults(Sample.cloud + "---\nkind: [a\n" + Sample.service("web", "access: open"))
        #expect(unclosed.count == 2, "\(unclosed)")
        #expect(unclosed[0].contains("not valid YAML") && unclosed[0].hasPrefix("cloud.yaml:"))
        #expect(unclosed[1].contains("spec.access is 'open'"))
        let double = Sample.faults(Sample.cloud + Sample.service("web", "access: required\naccess: anonymous"))
        #expect(double.contains { $0.contains("the key 'access' is in the same mapping more than once") })
        let alias = Sample.faults(Sample.cloud + Sample.service("web", "owner: *nobody"))
        #expect(alias.contains { $0.contains("undefined alias") })
    }
}

extension String {
    fileprivate func replacing(_ text: String, with other: String) -> String {
        split(separator: text, omittingEmptySubsequences: false).joined(separator: other)
    }
}
