import CloudModel
import Logging
import Notifications
import Synchronization
import Testing

@Suite struct LogTests {
    struct Entry: Sendable {
        var level: Logger.Level
        var message: String
        var metadata: Logger.Metadata
    }

    struct Handler: LogHandler {
        var entries: Received<Entry>
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        init(_ entries: Received<Entry>) { self.entries = entries }

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            entries.append(
                Entry(level: event.level, message: event.message.description, metadata: event.metadata ?? [:]))
        }
    }

    @Test(arguments: [
        (CloudModel.Notification.Severity.info, Logger.Level.notice), (.warning, .warning), (.critical, .critical),
    ])
    func writesToTheLog(severity: CloudModel.Notification.Severity, level: Logger.Level) async throws {
        let entries = Received<Entry>()
        let delivery = NotificationDelivery(relay: nil, logger: Logger(label: "test") { _ in Handler(entries) })
        var notification = Sample.notification
        notification.severity = severity
        try await delivery.deliver(notification, to: .log, acceptLink: "https://c.example/a")
        let entry = try #require(entries.all.first)
        #expect(entry.level == level)
        #expect(entry.message == "Notification")
        #expect(entry.metadata["title"] == "\(notification.title)")
        #expect(entry.metadata["accept"] == "https://c.example/a")
        #expect(entry.metadata["kind"] == "limit-reached")
    }
}
