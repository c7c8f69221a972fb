package import CloudModel
package import CloudPorts
import Crypto
package import Foundation

/// One webhook as the Standard Webhooks specification (1.0) says: a JSON body, and headers that name and sign it.
package struct WebhookMessage: Hashable, Sendable {
    /// The same for every attempt, so that a receiver can drop what it has had.
    package let id: String
    /// Of this attempt.
    package let timestamp: Timestamp
    package let body: Data

    package init(
        _ notification: CloudModel.Notification, acceptLink: String?, at now: Timestamp
    ) throws(DeliveryError) {
        id = Self.identifier(for: notification.id)
        timestamp = now
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do { body = try encoder.encode(Body(notification, acceptLink: acceptLink)) } catch {
            throw DeliveryError(permanent: true, message: "the notification cannot be written as JSON: \(error)")
        }
    }

    /// The header fields of the specification. Without secrets the message is sent unsigned.
    package func headers(signedWith secrets: WebhookSecrets?) -> [(name: String, value: String)] {
        let seconds = timestamp.microseconds / 1_000_000
        var headers = [("webhook-id", id), ("webhook-timestamp", "\(seconds)")]
        if let secrets {
            headers.append(("webhook-signature", secrets.signature(id: id, seconds: seconds, body: body)))
        }
        return headers
    }

    /// The notification's id where it can stand in a header and before a full stop, which ends it in what is signed;
    /// otherwise a digest of it.
    private static func identifier(for id: NotificationID) -> String {
        let bytes = id.rawValue.utf8
        let isPlain = bytes.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ":")
        }
        if isPlain, (1...128).contains(bytes.count) { return id.rawValue }
        return "msg_" + SHA256.hash(data: Data(bytes)).map { String(format: "%02x", $0) }.joined()
    }

    private struct Body: Encodable {
        var type: String
        var timestamp: String
        var data: Content

        struct Content: Encodable {
            var id: String
            var severity: String
            var service: String?
            var consumer: String?
            var title: String
            var body: String
            var offer: Offer?
            var acceptLink: String?
        }

        struct Offer: Encodable {
            var service: String
            var constraint: String
            var from: Int
            var to: Int
        }

        init(_ notification: CloudModel.Notification, acceptLink: String?) {
            type = notification.kind
            timestamp = notification.at.rfc3339
            data = Content(
                id: notification.id.rawValue, severity: notification.severity.rawValue,
                service: notification.service?.rawValue, consumer: notification.consumer?.rawValue,
                title: notification.title, body: notification.body,
                offer: notification.offer.map {
                    Offer(
                        service: $0.service.rawValue, constraint: $0.constraint.rawValue, from: $0.from, to: $0.to)
                }, acceptLink: acceptLink)
        }
    }
}

/// The keys that webhooks to one receiver are signed with: one `whsec_…` a line. Two while the key is being changed: a
/// receiver accepts the message where one signature is right.
package struct WebhookSecrets: Hashable, Sendable {
    package let keys: [Data]

    private static let prefix = "whsec_"
    private static let maximumKeys = 4
    private static let maximumFileSize = 4_096

    /// Read at every delivery, so that a changed key needs no restart.
    package init(file: String) throws(DeliveryError) {
        guard let text = SmallFile.read(file, limit: Self.maximumFileSize) else {
            throw DeliveryError(
                permanent: false,
                message: "cannot read the webhook's secret from \(file): \(String(cString: strerror(errno)))")
        }
        try self.init(text: text, name: file)
    }

    package init(text: String, name: String) throws(DeliveryError) {
        var keys: [Data] = []
        for line in text.split(whereSeparator: \.isNewline) {
            let secret = line.trimmingCharacters(in: .whitespaces)
            if secret.isEmpty || secret.hasPrefix("#") { continue }
            guard secret.hasPrefix(Self.prefix), let key = Data(base64Encoded: String(secret.dropFirst(6))),
                (24...64).contains(key.count)
            else { throw Self.refusal(name) }
            keys.append(key)
        }
        guard (1...Self.maximumKeys).contains(keys.count) else { throw Self.refusal(name) }
        self.keys = keys
    }

    private static func refusal(_ name: String) -> DeliveryError {
        DeliveryError(
            permanent: false,
            message:
                "\(name) does not hold webhook secrets: one to \(maximumKeys) lines, each whsec_ and the base64 of "
                + "24 to 64 random bytes, as printed by: echo whsec_$(head -c 32 /dev/urandom | base64)")
    }

    /// `v1,` and the base64 of the HMAC-SHA256 of `id.timestamp.body`, for each key.
    func signature(id: String, seconds: Int64, body: Data) -> String {
        let signed = Data("\(id).\(seconds).".utf8) + body
        return keys.map { key in
            let code = HMAC<SHA256>.authenticationCode(for: signed, using: SymmetricKey(data: key))
            return "v1," + Data(code).base64EncodedString()
        }.joined(separator: " ")
    }
}

/// Secrets in files.
enum SmallFile {
    /// Nil, with errno, where it cannot be read or is larger.
    static func read(_ path: String, limit: Int) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: limit + 1)
        while true {
            let count = Foundation.read(file, &chunk, chunk.count)
            if count < 0 { return nil }
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes.append(contentsOf: chunk[0..<count])
            if bytes.count > limit {
                errno = EFBIG
                return nil
            }
        }
    }
}
