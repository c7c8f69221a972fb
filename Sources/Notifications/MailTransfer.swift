import CCurl
import CloudModel
import CloudPorts
import Foundation

/// Sends mail through a relay (RFC 5321).
struct MailTransfer {
    var relay: MailRelay

    private static let maximumPasswordFileSize = 4_096

    func send(
        _ message: MailMessage, connectTimeout: TimeSpan, timeout: TimeSpan
    ) throws(DeliveryError) {
        let password = try password()
        var transfer = try Transfer(upload: message.content)
        defer { transfer.close() }
        transfer.allowSMTP()
        transfer.set(CURLOPT_URL, try url())
        let encryption = relay.encryption == .startTLS ? ccurl_tls_required : ccurl_tls_none
        transfer.set(CURLOPT_USE_SSL, encryption)
        if let user = relay.user {
            transfer.set(CURLOPT_USERNAME, user)
            transfer.set(CURLOPT_PASSWORD, password ?? "")
        }
        transfer.set(CURLOPT_MAIL_FROM, "<\(message.from)>")
        transfer.set(CURLOPT_MAIL_RCPT, lines: ["<\(message.to)>"])
        transfer.set(CURLOPT_UPLOAD, 1)
        let outcome = transfer.perform(connectTimeout: connectTimeout, timeout: timeout)
        if let failure = failure(of: outcome) { throw failure }
    }

    private func url() throws(DeliveryError) -> String {
        let isAddress = relay.host.contains(":")
        let allowed = relay.host.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || [UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_")].contains(byte)
                || isAddress && byte == UInt8(ascii: ":")
        }
        guard allowed, !relay.host.isEmpty else {
            throw DeliveryError(
                permanent: false, message: "smtp.host is no host name or address; correct it in the Cloud document")
        }
        let scheme = relay.encryption == .tls ? "smtps" : "smtp"
        return "\(scheme)://\(isAddress ? "[\(relay.host)]" : relay.host):\(relay.port)"
    }

    private func password() throws(DeliveryError) -> String? {
        guard relay.user != nil else { return nil }
        guard let file = relay.passwordFile else {
            throw DeliveryError(
                permanent: false, message: "smtp.user is set without passwordFile; name the file with its password"
            )
        }
        guard let text = SmallFile.read(file, limit: Self.maximumPasswordFileSize) else {
            throw DeliveryError(
                permanent: false,
                message: "cannot read the mail relay's password from \(file): \(String(cString: strerror(errno)))")
        }
        return text.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
    }

    /// A reply of 5xx is for good (RFC 5321, section 4.2.1), except where it is about our login, which the operator
    /// can mend while the notification waits.
    private func failure(of outcome: Transfer.Outcome) -> DeliveryError? {
        if outcome.code == CURLE_OK { return nil }
        let refusal = outcome.replies.last { reply in
            reply.utf8.count >= 3 && (reply.hasPrefix("4") || reply.hasPrefix("5")) && Int(reply.prefix(3)) != nil
        }
        switch outcome.code {
        case CURLE_LOGIN_DENIED:
            return DeliveryError(
                permanent: false,
                message:
                    "the mail relay refused the login of \(relay.user ?? "nobody") (\(refusal ?? "no reason given"))"
                    + "; correct smtp.user and its password file")
        case CURLE_USE_SSL_FAILED:
            return DeliveryError(
                permanent: false,
                message:
                    "the mail relay offers no STARTTLS; use a relay that does, or set smtp.encryption to tls or none")
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CACERT_BADFILE,
            CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_HOST, CURLE_OPERATION_TIMEDOUT:
            return DeliveryError(permanent: false, message: outcome.failure)
        default:
            guard let refusal else { return DeliveryError(permanent: false, message: outcome.failure) }
            let isLogin = ["530", "534", "535", "538"].contains { refusal.hasPrefix($0) }
            return DeliveryError(
                permanent: refusal.hasPrefix("5") && !isLogin, message: "the mail relay refused: \(refusal)")
        }
    }
}
