import CloudModel
import CloudPorts
import Crypto
import Foundation
import Logging
import Notifications
import Testing

enum Sample {
    static let notification = CloudModel.Notification(
        id: "limit-reached:web:2026", at: Timestamp(microseconds: 1_796_000_000_123_456), severity: .warning,
        kind: "limit-reached", service: "web", consumer: "acme", title: "web: maximum instances reached",
        body: "Consumer \"acme\" was refused:\nthree of three instances run.",
        offer: ConstraintOffer(service: "web", constraint: .maximumInstances, from: 3, to: 4))

    static func delivery(
        relay: MailRelay? = nil, limits: NotificationDelivery.Limits = .init(),
        now: Timestamp = .epoch + .seconds(1_000)
    ) -> NotificationDelivery {
        NotificationDelivery(
            relay: relay, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, limits: limits, now: { now })
    }

    static func file(_ text: String) throws -> String {
        let path = FileManager.default.temporaryDirectory.path + "/notifications-\(UUID().uuidString)"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    /// The error that the delivery ends with.
    static func failure(
        of delivery: NotificationDelivery, _ notification: CloudModel.Notification = notification,
        to channel: NotificationChannel
    ) async throws -> DeliveryError {
        do { try await delivery.deliver(notification, to: channel, acceptLink: nil) } catch { return error }
        throw NotRefused()
    }

    struct NotRefused: Error {}
}

@Suite struct WebhookTests {
    @Test func postsASignedMessage() async throws {
        let received = Received<HTTPRequest>()
        let listener = try HTTPRequest.receiver(into: received)
        defer { listener.close() }
        let key = Data((0..<32).map { UInt8($0 * 7 & 0xFF) })
        let other = Data((0..<24).map { UInt8($0) })
        let file = try Sample.file("whsec_\(key.base64EncodedString())\n\nwhsec_\(other.base64EncodedString())\n")
        defer { try? FileManager.default.removeItem(atPath: file) }
        let delivery = Sample.delivery()
        for link in ["https://cloud.example/accept/abc", nil] {
            try await delivery.deliver(
                Sample.notification,
                to: .webhook(url: "http://127.0.0.1:\(listener.port)/hook?x=1", secretFile: file), acceptLink: link)
        }

        let requests = received.all
        #expect(requests.count == 2)
        let request = try #require(requests.first)
        #expect(request.line == "POST /hook?x=1 HTTP/1.1")
        #expect(request.headers["content-type"] == "application/json")
        #expect(request.headers["webhook-timestamp"] == "1000")
        let id = try #require(request.headers["webhook-id"])
        #expect(id == "limit-reached:web:2026")
        #expect(requests[1].headers["webhook-id"] == id)

        // As a receiver verifies it, from what came over the wire.
        let signed = Data("\(id).1000.".utf8) + request.body
        let signatures = try #require(request.headers["webhook-signature"]).split(separator: " ").map(String.init)
        #expect(
            signatures
                == [key, other].map { key in
                    "v1,"
                        + Data(HMAC<SHA256>.authenticationCode(for: signed, using: SymmetricKey(data: key)))
                        .base64EncodedString()
                })

        let body = try #require(try JSONSerialization.jsonObject(with: request.body) as? [String: Any])
        #expect(body["type"] as? String == "limit-reached")
        #expect(body["timestamp"] as? String == Sample.notification.at.rfc3339)
        let data = try #require(body["data"] as? [String: Any])
        #expect(data["title"] as? String == Sample.notification.title)
        #expect(data["body"] as? String == Sample.notification.body)
        #expect(data["severity"] as? String == "warning")
        #expect(data["service"] as? String == "web")
        #expect(data["consumer"] as? String == "acme")
        #expect(data["acceptLink"] as? String == "https://cloud.example/accept/abc")
        let offer = try #require(data["offer"] as? [String: Any])
        #expect(offer["constraint"] as? String == "maximum-instances")
        #expect(offer["to"] as? Int == 4)
        let second = try #require(try JSONSerialization.jsonObject(with: requests[1].body) as? [String: Any])
        #expect((second["data"] as? [String: Any])?["acceptLink"] == nil)
    }

    /// The example of the specification's reference libraries.
    @Test func signsAsTheSpecificationDoes() throws {
        let secrets = try WebhookSecrets(text: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", name: "test")
        var notification = Sample.notification
        notification.id = "msg_p5jXN8AQM9LWM0D4loKWxJek"
        let message = try WebhookMessage(
            notification, acceptLink: nil, at: Timestamp(microseconds: 1_614_265_330_000_000))
        let headers = message.headers(signedWith: secrets)
        let signed = Data("msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.".utf8) + message.body
        let key = SymmetricKey(data: Data(base64Encoded: "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")!)
        let expected = Data(HMAC<SHA256>.authenticationCode(for: signed, using: key)).base64EncodedString()
        #expect(headers.map(\.name) == ["webhook-id", "webhook-timestamp", "webhook-signature"])
        #expect(headers.map(\.value) == ["msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", "v1,\(expected)"])
        #expect(message.headers(signedWith: nil).map(\.name) == ["webhook-id", "webhook-timestamp"])
    }

    @Test(arguments: ["a.b", "a\r\nX-Injected: 1", "", String(repeating: "x", count: 200), "é"])
    func givesAnIdThatCannotStandInAHeaderAnother(id: String) throws {
        var notification = Sample.notification
        notification.id = NotificationID(id)
        let first = try WebhookMessage(notification, acceptLink: nil, at: .epoch)
        #expect(first.id.hasPrefix("msg_"))
        #expect(first.id.utf8.count == 68)
        #expect(try WebhookMessage(notification, acceptLink: "x", at: .distantFuture).id == first.id)
    }

    struct Answer: Sendable {
        var text: String
        var permanent: Bool?
        var message: String = ""
    }

    static let answers: [Answer] = [
        Answer(text: "HTTP/1.1 204 No Content\r\n\r\n"),
        Answer(text: "HTTP/1.1 200 OK\r\n\r\n" + String(repeating: "x", count: 1_000_000)),
        Answer(
            text: "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", permanent: false,
            message: "redirects"),
        Answer(
            text: "HTTP/1.1 400 Bad Request\r\n\r\nno \u{1}such\nfield", permanent: true,
            message: "status 400: no such field"),
        Answer(text: "HTTP/1.1 408 Request Timeout\r\n\r\n", permanent: false, message: "status 408"),
        Answer(text: "HTTP/1.1 410 Gone\r\n\r\n", permanent: true, message: "status 410"),
        Answer(text: "HTTP/1.1 429 Too Many Requests\r\n\r\n", permanent: false, message: "status 429"),
        Answer(text: "HTTP/1.1 500 Oops\r\n\r\n", permanent: false, message: "status 500"),
        Answer(text: "SSH-2.0-x\r\n", permanent: false, message: "HTTP/0.9"),
        Answer(text: "", permanent: false, message: "Empty reply"),
    ]

    @Test(arguments: 0..<answers.count) func tellsLastingFailuresFromPassingOnes(index: Int) async throws {
        let answer = Self.answers[index]
        let received = Received<HTTPRequest>()
        let listener = try HTTPRequest.receiver(into: received, answer: answer.text)
        defer { listener.close() }
        let channel = NotificationChannel.webhook(url: "http://127.0.0.1:\(listener.port)/", secretFile: nil)
        if let permanent = answer.permanent {
            let failure = try await Sample.failure(of: Sample.delivery(), to: channel)
            #expect(failure.permanent == permanent)
            #expect(failure.message.contains(answer.message), "\(failure.message)")
        } else {
            try await Sample.delivery().deliver(Sample.notification, to: channel, acceptLink: nil)
        }
        // Once, and nowhere else.
        #expect(received.all.count == 1)
        #expect(received.all.first?.headers["webhook-signature"] == nil)
    }

    @Test(arguments: ["ftp://127.0.0.1/", "file:///etc/passwd", "127.0.0.1", "http://a b/", "http://a/\r\nX: y"])
    func refusesWhatIsNoURL(url: String) async throws {
        let failure = try await Sample.failure(of: Sample.delivery(), to: .webhook(url: url, secretFile: nil))
        #expect(failure.permanent)
        #expect(!failure.message.contains("\n"))
    }

    @Test func isRefusedForNowWhereNobodyListens() async throws {
        let listener = try LocalListener { _ in }
        listener.close()
        let channel = NotificationChannel.webhook(url: "http://127.0.0.1:\(listener.port)/", secretFile: nil)
        #expect(try await Sample.failure(of: Sample.delivery(), to: channel).permanent == false)
    }

    @Test func endsInTime() async throws {
        let listener = try LocalListener { connection in _ = connection.read(through: "never") }
        defer { listener.close() }
        let delivery = Sample.delivery(limits: .init(webhookTimeout: .milliseconds(300)))
        let start = ContinuousClock.now
        let failure = try await Sample.failure(
            of: delivery, to: .webhook(url: "http://127.0.0.1:\(listener.port)/", secretFile: nil))
        #expect(!failure.permanent)
        #expect(failure.message.contains("timed out"))
        #expect(ContinuousClock.now - start < .seconds(5))
    }

    @Test func holdsNoMoreThanItMay() async throws {
        let listener = try LocalListener { connection in _ = connection.read(through: "never") }
        defer { listener.close() }
        let delivery = Sample.delivery(
            limits: .init(threads: 1, waiting: 2, webhookTimeout: .milliseconds(300)))
        let channel = NotificationChannel.webhook(url: "http://127.0.0.1:\(listener.port)/", secretFile: nil)
        let failures = try await withThrowingTaskGroup(of: DeliveryError.self) { group in
            for _ in 0..<20 { group.addTask { try await Sample.failure(of: delivery, to: channel) } }
            return try await group.reduce(into: [DeliveryError]()) { $0.append($1) }
        }
        #expect(failures.allSatisfy { !$0.permanent })
        #expect(failures.filter { $0.message == "too many deliveries wait already" }.count >= 17)
        #expect(failures.contains { $0.message.contains("timed out") })
    }

    @Test(arguments: [
        "", "secret", "whsec_", "whsec_c2hvcnQ=", "whsec_!!!!", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\nno",
    ])
    func saysWhatASecretLooksLike(text: String) async throws {
        let file = try Sample.file(text)
        defer { try? FileManager.default.removeItem(atPath: file) }
        let failure = try await Sample.failure(
            of: Sample.delivery(), to: .webhook(url: "http://127.0.0.1:1/", secretFile: file))
        #expect(!failure.permanent)
        #expect(failure.message.contains("echo whsec_$("))
        if !text.isEmpty { #expect(!failure.message.contains("MfKQ9r8")) }
    }

    @Test func saysWhichSecretItCannotRead() async throws {
        let failure = try await Sample.failure(
            of: Sample.delivery(), to: .webhook(url: "http://127.0.0.1:1/", secretFile: "/no/such"))
        #expect(failure.message == "cannot read the webhook's secret from /no/such: No such file or directory")
        #expect(!failure.permanent)
    }
}
