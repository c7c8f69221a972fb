public import CloudModel
public import CloudPorts
import Foundation
public import Logging

/// Delivers notifications to the log, by webhook and by mail.
///
/// Transfers run on a few threads of their own, never on Swift's: a receiver that does not answer holds up at most one
/// of them, for a bounded time. Redirects are not followed, what is read of an answer is bounded, and the usual
/// variables (`https_proxy`, `no_proxy`) name a proxy.
public final class NotificationDelivery: Notifier {
    public struct Limits: Sendable {
        /// Deliveries at once.
        public var threads: Int
        /// Deliveries that wait for a thread; one more fails, to be repeated.
        public var waiting: Int
        public var connectTimeout: TimeSpan
        public var webhookTimeout: TimeSpan
        public var mailTimeout: TimeSpan

        public init(
            threads: Int = 4, waiting: Int = 1_024, connectTimeout: TimeSpan = .seconds(5),
            webhookTimeout: TimeSpan = .seconds(15), mailTimeout: TimeSpan = .seconds(60)
        ) {
            self.threads = threads
            self.waiting = waiting
            self.connectTimeout = connectTimeout
            self.webhookTimeout = webhookTimeout
            self.mailTimeout = mailTimeout
        }
    }

    private let relay: MailRelay?
    private let limits: Limits
    private let logger: Logger
    private let threads: DeliveryThreads
    private let now: @Sendable () -> Timestamp

    public init(
        relay: MailRelay?, logger: Logger, limits: Limits = Limits(),
        now: @escaping @Sendable () -> Timestamp = NotificationDelivery.systemTime
    ) {
        self.relay = relay
        self.limits = limits
        self.logger = logger
        self.now = now
        threads = DeliveryThreads(count: limits.threads, waiting: limits.waiting)
    }

    public static func systemTime() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000)
    }

    public func deliver(
        _ notification: CloudModel.Notification, to channel: NotificationChannel, acceptLink: String?
    ) async throws(DeliveryError) {
        switch channel {
        case .log: log(notification, acceptLink)
        case .webhook(let url, let secretFile):
            try await threads.run { () throws(DeliveryError) in
                try self.post(notification, acceptLink, to: url, secretFile: secretFile)
            }
        case .email(let address):
            try await threads.run { () throws(DeliveryError) in
                try self.mail(notification, acceptLink, to: address)
            }
        }
    }

    private func log(_ notification: CloudModel.Notification, _ acceptLink: String?) {
        let level: Logger.Level =
            switch notification.severity {
            case .info: .notice
            case .warning: .warning
            case .critical: .critical
            }
        var metadata: Logger.Metadata = [
            "notification": "\(notification.id)", "kind": "\(notification.kind)", "title": "\(notification.title)",
            "body": "\(notification.body)",
        ]
        if let service = notification.service { metadata["service"] = "\(service)" }
        if let consumer = notification.consumer { metadata["consumer"] = "\(consumer)" }
        if let acceptLink { metadata["accept"] = "\(acceptLink)" }
        logger.log(level: level, "Notification", metadata: metadata)
    }

    private func post(
        _ notification: CloudModel.Notification, _ acceptLink: String?, to url: String, secretFile: String?
    ) throws(DeliveryError) {
        let message = try WebhookMessage(notification, acceptLink: acceptLink, at: now())
        let secrets = try secretFile.map { file throws(DeliveryError) in try WebhookSecrets(file: file) }
        try WebhookTransfer(url: url).post(
            message.body, headers: message.headers(signedWith: secrets), connectTimeout: limits.connectTimeout,
            timeout: limits.webhookTimeout)
    }

    private func mail(
        _ notification: CloudModel.Notification, _ acceptLink: String?, to address: String
    ) throws(DeliveryError) {
        guard let relay else {
            throw DeliveryError(
                permanent: false, message: "no mail relay is configured; name one under smtp in the Cloud document")
        }
        let message = try MailMessage(notification, acceptLink: acceptLink, from: relay.from, to: address, at: now())
        try MailTransfer(relay: relay).send(
            message, connectTimeout: limits.connectTimeout, timeout: limits.mailTimeout)
    }
}
