package import CloudModel
package import CloudPorts
import Crypto
package import Foundation

/// One mail in plain text (RFC 5322 and 2045 to 2047), with nothing in it that the notification's text could break out
/// of: addresses are checked, header text is reduced to one line and encoded, the body is quoted-printable.
package struct MailMessage: Hashable, Sendable {
    package let from: String
    package let to: String
    /// With CRLF line ends.
    package let content: Data

    package init(
        _ notification: CloudModel.Notification, acceptLink: String?, from: String, to: String, at now: Timestamp
    ) throws(DeliveryError) {
        guard MailAddress.isValid(to) else {
            throw DeliveryError(permanent: true, message: "\"\(MailText.oneLine(to))\" is no mail address")
        }
        guard MailAddress.isValid(from) else {
            throw DeliveryError(
                permanent: false,
                message: "\"\(MailText.oneLine(from))\" is no mail address; correct smtp.from in the Cloud document")
        }
        self.from = from
        self.to = to
        let digest = SHA256.hash(data: Data("\(notification.id)\n\(to)".utf8)).prefix(16)
        let messageID = digest.map { String(format: "%02x", $0) }.joined()
        let domain = from[from.index(after: from.lastIndex(of: "@")!)...]
        let headers = [
            "Date: \(MailText.date(now))",
            "From: Cloudwright <\(from)>",
            "To: <\(to)>",
            // The same for every attempt: one that was delivered without our hearing of it can be told.
            "Message-ID: <\(messageID)@\(domain)>",
            MailText.header("Subject", Self.subject(of: notification)),
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: quoted-printable",
            // RFC 3834: no answering machine answers.
            "Auto-Submitted: auto-generated",
        ]
        let body = MailText.quotedPrintable(Self.text(of: notification, acceptLink))
        content = Data((headers.joined(separator: "\r\n") + "\r\n\r\n" + body).utf8)
    }

    private static func subject(of notification: CloudModel.Notification) -> String {
        switch notification.severity {
        case .info: notification.title
        case .warning: "Warning: \(notification.title)"
        case .critical: "Critical: \(notification.title)"
        }
    }

    private static func text(of notification: CloudModel.Notification, _ acceptLink: String?) -> String {
        var lines = [notification.body, ""]
        if let offer = notification.offer, let acceptLink {
            lines += [
                "To change \(offer.constraint.rawValue) of \(offer.service) from \(offer.from) to \(offer.to), open "
                    + "this link. It works once and for a limited time:",
                acceptLink, "",
            ]
        }
        if let service = notification.service { lines.append("Service: \(service)") }
        if let consumer = notification.consumer { lines.append("Consumer: \(consumer)") }
        lines.append("Time: \(notification.at.rfc3339)")
        lines.append("Notification: \(notification.id) (\(notification.kind))")
        return lines.joined(separator: "\n") + "\n"
    }
}

package enum MailAddress {
    /// `local@domain` of RFC 5321 without quoted local parts, address literals and non-ASCII characters, which hardly
    /// anyone has and which would have to be quoted in every place.
    package static func isValid(_ address: String) -> Bool {
        guard let at = address.lastIndex(of: "@"), address.utf8.count <= 254 else { return false }
        let local = address[..<at].utf8
        let domain = address[address.index(after: at)...]
        guard (1...64).contains(local.count), local.first != UInt8(ascii: "."), local.last != UInt8(ascii: "."),
            local.allSatisfy({ isLetterOrDigit($0) || Array("!#$%&'*+-/=?^_`{|}~.".utf8).contains($0) })
        else { return false }
        let labels = domain.split(separator: ".", omittingEmptySubsequences: false)
        return labels.allSatisfy { label in
            (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
                && label.utf8.allSatisfy { isLetterOrDigit($0) || $0 == UInt8(ascii: "-") }
        }
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }
}
