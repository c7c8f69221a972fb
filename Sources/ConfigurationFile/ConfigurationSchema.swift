/// Every key that a configuration file may have: what the reader accepts, what a typo is compared with, and what the
/// reference documents.
package enum ConfigurationSchema {
    package struct Section: Sendable {
        /// As in the reference: `CloudService: spec.constraints`.
        package let title: String
        package let fields: [Field]

        func contains(_ key: String) -> Bool { fields.contains { $0.key == key } }
    }

    package struct Field: Sendable {
        package let key: String
        /// What is written there, with its unit.
        package let type: String
        /// What counts where the key is left out; `required` where it may not be.
        package let defaultText: String
        package let meaning: String

        init(_ key: String, _ type: String, _ defaultText: String, _ meaning: String) {
            self.key = key
            self.type = type
            self.defaultText = defaultText
            self.meaning = meaning
        }
    }

    package static let sections: [Section] =
        [document, metadata] + cloudSections + serviceSections + consumerSections + [failoverGroup]
        + pricePlanSections + hostSections

    static let required = "required"
    static let none = "none"

    static let document = Section(
        title: "Every document",
        fields: [
            Field("apiVersion", "`cloudwright/v1`", required, "The version of this format."),
            Field(
                "kind", "`Cloud`, `CloudService`, `CloudConsumer`, `FailoverGroup`, `PricePlan`, `PhysicalServer`",
                required,
                "What the document declares. A file has exactly one `Cloud`."),
            Field("metadata", "mapping", required, "What the resource is called."),
            Field("spec", "mapping", required, "What the resource is to be."),
        ])

    static let metadata = Section(
        title: "Every document: metadata",
        fields: [
            Field(
                "name", "label", required,
                "Unique among its kind: lower-case letters, digits and hyphens, 63 at most (RFC 1123).")
        ])

    static let channel = Section(
        title: "Notification channels",
        fields: [
            Field("log", "(no value)", none, "The platform's own log. Written `- log`."),
            Field("webhook", "mapping", none, "An HTTP POST, signed as Standard Webhooks says."),
            Field("email", "mail address", none, "Mail through the relay of `Cloud: spec.smtp`."),
        ])

    static let webhook = Section(
        title: "Notification channels: webhook",
        fields: [
            Field("url", "`http://` or `https://` URL", required, "Where the notification is posted to."),
            Field(
                "secretFile", "absolute path", none,
                "The file with the `whsec_…` secret that signs; without it the notification is not signed."),
        ])

    static let failoverGroup = Section(
        title: "FailoverGroup: spec",
        fields: [
            Field("service", "name of a `CloudService`", required, "The service that the group keeps available."),
            Field(
                "mode", "`active-active`, `active-passive`", required,
                "Whether all implementations serve, or the standbys wait until one fails."),
            Field(
                "standbys", "integer", "1",
                "Standbys that are kept in active-passive mode; they count towards `maximumInstances`."),
            Field(
                "standbyReadiness", "`cold`, `warm`, `hot`", "warm",
                "Whether standbys are started when needed (`cold`) or before (`warm`, `hot`). Virtual servers are then "
                    + "saved to storage (`warm`) or stand still in memory (`hot`); processes run."),
            Field(
                "recoveryAttempts", "integer", "3",
                "Attempts to recover a failed implementation in place before it is replicated elsewhere."),
        ])
}

extension ConfigurationSchema {
    static let cloudSections =
        [cloud, gateway, accessLog, listener, listenerTLS, certificate, clientCertificates]
        + [administration, smtp, rebalancing, channel, webhook, audit, auditForwarding, syslogTLS, syslogCertificate]
        + [auditWebhook, logDatabase]
        + [telemetry, traces]

    static let cloud = Section(
        title: "Cloud: spec",
        fields: [
            Field(
                "dataDirectory", "absolute path", "/var/lib/cloudwright",
                "Where the spools, the key files and, unless it is on a server, the log database are."),
            Field("gateway", "mapping", none, "How the gateway is reached."),
            Field("administration", "mapping", none, "How administrators reach the platform."),
            Field("smtp", "mapping", none, "The relay that mail goes through; without it there is no mail."),
            Field("notifications", "list of channels", "[log]", "Who is told of what concerns the operator."),
            Field("rebalancing", "mapping", none, "How the load of the physical servers is kept even."),
            Field(
                "instanceLease", "duration", "1m",
                "How long an instance is taken to run after its last heartbeat: the bound of a lost stop in "
                    + "the books."),
            Field(
                "witnessFile", "absolute path", none,
                "Each seal of the books is also appended to this file, which belongs on another machine's storage."),
            Field(
                "imageDirectory", "absolute path", none,
                "Where imported images are kept; the hosts see it under the same path. Without it none are imported."),
            Field("audit", "mapping", none, "What is made of logins."),
            Field("logDatabase", "mapping", none, "Where the log database is; without it in the data directory."),
            Field("telemetry", "mapping", none, "What is sent to OpenTelemetry collectors; without it nothing."),
        ])

    static let telemetry = Section(
        title: "Cloud: spec.telemetry",
        fields: [Field("traces", "mapping", none, "Spans of requests and operations; without it there are none.")])

    static let traces = Section(
        title: "Cloud: spec.telemetry.traces",
        fields: [
            Field(
                "endpoint", "http or https URL", required,
                "The collector's base URL. OTLP over HTTP, as JSON, is posted to `/v1/traces` below it."),
            Field(
                "headersFile", "absolute path", none,
                "The file with header fields for the collector, one `Name: value` a line, mode 0600."),
            Field(
                "ratio", "decimal", "0.01",
                "The part of the requests that is traced, 0 to 1, of those that come without `traceparent`; with it "
                    + "the consumer's decision holds. Operations always are."),
        ])

    static let logDatabase = Section(
        title: "Cloud: spec.logDatabase",
        fields: [
            Field(
                "kind", "`sqlite`, `postgres`", "sqlite",
                "`sqlite` keeps one file in the data directory; `postgres` a database of a PostgreSQL server (13 or "
                    + "newer)."),
            Field(
                "connectionFile", "absolute path", none,
                "With `postgres`: the file with libpq's connection string, one line, mode 0600, as "
                    + "`host=db1,db2 dbname=cloudwright user=cloudwright password=…`. Of several hosts the one that "
                    + "takes writes is used."),
            Field(
                "lease", "duration", "15s",
                "With `postgres`: how long a platform that is not heard of keeps its standby, which is another one on "
                    + "the same database, from taking over."),
        ])

    static let audit = Section(
        title: "Cloud: spec.audit",
        fields: [
            Field(
                "alarmFailures", "integer", "10",
                "Failed logins within the window, from one address or of one principal from several, that are told to "
                    + "the administrators: once, until it has been quiet for the window."),
            Field("alarmWindow", "duration", "10m", "That window."),
            Field(
                "lockoutFailures", "integer", none,
                "Wrong passwords in a row that lock an administrator out at the address that they came from, and "
                    + "nowhere else; without it nobody is locked out."),
            Field("lockoutDuration", "duration", "10m", "For how long."),
            Field(
                "report", "`daily`, `weekly`, `monthly`", none,
                "How often the administrators are sent a report of all logins; days, weeks from Monday and months are "
                    + "those of UTC."),
            Field(
                "forward", "list of mappings", none,
                "Other systems that are sent each login, at least once and in order. What one has not taken waits in "
                    + "the log database."),
        ])

    static let auditForwarding = Section(
        title: "Cloud: spec.audit.forward[]",
        fields: [
            Field(
                "name", "name", required,
                "Under it is remembered what has been sent; under another one everything is sent again."),
            Field(
                "syslog", "`host:port`", none,
                "RFC 5424 over TCP, each message behind its length (RFC 6587). The receiver must close a connection "
                    + "that we have ended, as rsyslog and syslog-ng do. Either this or `webhook`."),
            Field(
                "tls", "mapping", none,
                "With `syslog`: over TLS (RFC 5425, usually port 6514); the receiver has to prove who it is. `{}` "
                    + "takes what is usual."),
            Field("webhook", "mapping", none, "HTTP POST of a JSON list of OCSF events; a status of 2xx takes them."),
            Field("batch", "integer", "500", "The most events that are sent at once."),
        ])

    static let auditWebhook = Section(
        title: "Cloud: spec.audit.forward[].webhook",
        fields: [
            Field("url", "http or https URL", required, "Where to post to."),
            Field("tokenFile", "absolute path", none, "A file whose content is sent as a bearer token."),
        ])

    static let gateway = Section(
        title: "Cloud: spec.gateway",
        fields: [
            Field(
                "listeners", "list of `address:port` or mappings", "[127.0.0.1:8080]",
                "Where consumers connect. Port 0 takes a free one. An address alone is plain TCP."),
            Field("loops", "integer", none, "Event loops; without it one for each processor."),
            Field(
                "http2Streams", "integer", "100",
                "Requests that one connection of HTTP/2 may have at a time; with 0 no HTTP/2 is spoken."),
            Field("accessLog", "mapping", none, "A line for each request; without it there is none."),
        ])

    static let accessLog = Section(
        title: "Cloud: spec.gateway.accessLog",
        fields: [
            Field(
                "target", "`stdout`, or absolute path", required,
                "Where lines are written. After SIGHUP a file is opened anew, for logrotate."),
            Field("format", "`json`, `combined`", "json", "One JSON object a line, or Apache's combined format."),
        ])

    static let administration = Section(
        title: "Cloud: spec.administration",
        fields: [
            Field(
                "address", "`address:port`", "127.0.0.1:8081",
                "Where the REST API, the console and the metrics are served.")
        ])

    static let smtp = Section(
        title: "Cloud: spec.smtp",
        fields: [
            Field("host", "host name or address", required, "The mail relay."),
            Field("port", "port", "587", "Its port: 587 for submission, 465 with `encryption: tls`."),
            Field(
                "encryption", "`starttls`, `tls`, `none`", "starttls",
                "`starttls` sends nothing to a relay that does not offer it; `none` is for a relay on this machine."),
            Field("user", "text", none, "Who logs in to the relay; without it nobody does."),
            Field("passwordFile", "absolute path", none, "The file with the password: one line, mode 0600."),
            Field("from", "mail address", required, "The address that mail is sent from."),
        ])
}

extension ConfigurationSchema {
    static let consumerSections = [consumer, credential, budget, quota]

    static let consumer = Section(
        title: "CloudConsumer: spec",
        fields: [
            Field("displayName", "text", none, "What people call the consumer."),
            Field("contacts", "list of channels", none, "Where notifications for the consumer go."),
            Field(
                "entitlements", "list of names of `CloudService`s", none,
                "The services that the consumer may use; without it all, with an empty list none."),
            Field(
                "credentials", "list of mappings", none,
                "API keys that were made elsewhere, and certificates. Those made with "
                    + "`cloudwright consumer create-key` need not be named: applying a file keeps them."),
            Field(
                "pricePlan", "name of a `PricePlan`", none,
                "What the consumer pays by; without it no bill is made."),
            Field("budget", "mapping", none, "What it means to spend in a calendar month: it is told, nothing stops."),
            Field("quota", "mapping", none, "What it may use in a calendar month: then its requests are refused."),
        ])

    static let budget = Section(
        title: "CloudConsumer: spec.budget",
        fields: [
            Field("amount", "decimal", required, "In the currency of the price plan."),
            Field(
                "thresholds", "list of integers", "[50, 80, 100]",
                "Percent of the amount at which the consumer's contacts and the administrators are told, once a month "
                    + "each."),
        ])

    static let quota = Section(
        title: "CloudConsumer: spec.quota",
        fields: [
            Field("requests", "integer", none, "Requests that instances answered."),
            Field("amount", "decimal", none, "What the month's bill may come to, in the currency of the price plan."),
        ])

    static let credential = Section(
        title: "CloudConsumer: spec.credentials[]",
        fields: [
            Field("id", "text", required, "Names the credential, unique in the cloud."),
            Field(
                "kind", "`api-key`, `certificate`", "api-key",
                "A key that the consumer sends, or a certificate that it shows (`clientCertificates`)."),
            Field(
                "prefix", "text", required,
                "The first characters of the key, or what people know the certificate by (16 at most)."),
            Field(
                "digest", "64 hex digits", required,
                "SHA-256 of the whole key, which itself is never in a file; of the certificate in DER; or of "
                    + "`subject:` and the certificate's subject as in RFC 2253."),
            Field("expiresAt", "RFC 3339 time", none, "From when on the credential admits nobody."),
            Field(
                "revoked", "`true`, `false`", "false",
                "Whether the key has been withdrawn. A key that was revoked stays revoked, whatever a file says."),
        ])
}
