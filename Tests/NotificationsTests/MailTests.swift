import CloudModel
import CloudPorts
import Foundation
import Notifications
import Testing

@Suite struct MailTests {
    private static func relay(_ listener: LocalListener, encryption: MailRelay.Encryption = .none) -> MailRelay {
        MailRelay(host: "127.0.0.1", port: listener.port, encryption: encryption, from: "cloud@example.org")
    }

    private static func headers(_ content: String) -> [String: String] {
        let head = content.components(separatedBy: "\r\n\r\n")[0].replacingOccurrences(of: "\r\n ", with: " ")
        var headers: [String: String] = [:]
        for line in head.components(separatedBy: "\r\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            headers[String(parts[0])] = parts[1].trimmingCharacters(in: .whitespaces)
        }
        return headers
    }

    /// Undoes quoted-printable, as a mail program does.
    private static func decoded(_ content: String) -> String {
        let body = content.components(separatedBy: "\r\n\r\n").dropFirst().joined(separator: "\r\n\r\n")
        var bytes: [UInt8] = []
        var rest = Array(body.replacingOccurrences(of: "=\r\n", with: "").utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "=") else {
                bytes.append(byte)
                continue
            }
            bytes.append(UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)!)
            rest = rest.dropFirst(2)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func sendsThroughTheRelay() async throws {
        let received = Received<SMTPReceiver.Mail>()
        let listener = try SMTPReceiver().listen(into: received)
        defer { listener.close() }
        var notification = Sample.notification
        notification.body = "Zürich 雲: 100 % = full\n.\n..two stops\nend "
        try await Sample.delivery(relay: Self.relay(listener), now: Timestamp(microseconds: 1_795_487_400_000_000))
            .deliver(
                notification, to: .email(address: "admin@example.com"),
                acceptLink: "https://c.example/a/" + "k".padding(toLength: 90, withPad: "k", startingAt: 0))
        let mail = try #require(received.all.first)
        #expect(mail.from == "<cloud@example.org>")
        #expect(mail.to == ["<admin@example.com>"])
        let headers = Self.headers(mail.content)
        #expect(headers["To"] == "<admin@example.com>")
        #expect(headers["From"] == "Cloudwright <cloud@example.org>")
        #expect(headers["Subject"] == "Warning: web: maximum instances reached")
        #expect(headers["Date"] == "Tue, 24 Nov 2026 02:30:00 +0000")
        #expect(headers["Content-Type"] == "text/plain; charset=utf-8")
        #expect(headers["Content-Transfer-Encoding"] == "quoted-printable")
        #expect(headers["Message-ID"]?.hasSuffix("@example.org>") == true)
        #expect(mail.content.utf8.allSatisfy { $0 < 0x80 })
        #expect(mail.content.components(separatedBy: "\r\n").allSatisfy { $0.utf8.count <= 78 && !$0.contains("\n") })
        let text = Self.decoded(mail.content)
        #expect(text.hasPrefix(notification.body.replacingOccurrences(of: "\n", with: "\r\n")))
        #expect(text.contains("To change maximum-instances of web from 3 to 4"))
        #expect(text.contains("\r\nhttps://c.example/a/kkkk"))
    }

    @Test func keepsItsMessageIDOverAttempts() throws {
        let first = try MailMessage(Sample.notification, acceptLink: nil, from: "a@b", to: "c@d", at: .epoch)
        let second = try MailMessage(
            Sample.notification, acceptLink: nil, from: "a@b", to: "c@d", at: .epoch + .hours(5))
        let third = try MailMessage(Sample.notification, acceptLink: nil, from: "a@b", to: "e@d", at: .epoch)
        let ids = [first, second, third].map {
            Self.headers(String(decoding: $0.content, as: UTF8.self))["Message-ID"]
        }
        #expect(ids[0] == ids[1])
        #expect(ids[0] != ids[2])
    }

    @Test(arguments: [
        "Title\r\nBcc: everyone@example.com", "Title\nX: y", "Title\u{2028}X: y", "Ti\u{0}tle\u{85}z",
        "=?UTF-8?B?eA==?=",
        "日本語のとても長い件名がここにあります。日本語のとても長い件名がここにあります。日本語のとても長い件名がここにあります。",
        String(repeating: "long ", count: 500),
    ])
    func noTitleBreaksOutOfTheSubject(title: String) throws {
        var notification = Sample.notification
        notification.title = title
        notification.severity = .info
        let message = try MailMessage(
            notification, acceptLink: nil, from: "a@example.org", to: "c@example.org", at: .epoch)
        let text = String(decoding: message.content, as: UTF8.self)
        let names = text.components(separatedBy: "\r\n\r\n")[0].components(separatedBy: "\r\n")
            .filter { !$0.hasPrefix(" ") }.map { String($0.prefix { $0 != ":" }) }
        #expect(
            names == [
                "Date", "From", "To", "Message-ID", "Subject", "MIME-Version", "Content-Type",
                "Content-Transfer-Encoding", "Auto-Submitted",
            ])
        #expect(text.components(separatedBy: "\r\n").allSatisfy { $0.utf8.count <= 78 })
        #expect(!text.replacingOccurrences(of: "\r\n", with: "").contains { $0 == "\n" || $0 == "\r" })
        let words = (Self.headers(text)["Subject"] ?? "").components(separatedBy: " ")
        if words.allSatisfy({ $0.hasPrefix("=?UTF-8?B?") }) {
            let decoded = words.map {
                String(decoding: Data(base64Encoded: String($0.dropFirst(10).dropLast(2)))!, as: UTF8.self)
            }
            #expect(decoded.joined() == MailText.oneLine(title))
        } else {
            #expect(words.joined(separator: " ") == MailText.oneLine(title))
        }
    }

    @Test(arguments: [
        ("admin@example.com", true), ("a.b+c@x-y.example", true), ("root@localhost", true), ("", false),
        ("admin", false),
        ("@example.com", false), ("a@", false), ("a b@c", false), ("a@b>\r\nRCPT TO:<x@y", false), ("a@b\n", false),
        ("a,b@c", false), ("<a@b>", false), ("a@-b", false), ("a@b..c", false), (".a@b", false), ("ä@b", false),
        ("\"a\"@b", false), ("a@b@c", false),
    ])
    func knowsAnAddress(address: String, isValid: Bool) async throws {
        #expect(MailAddress.isValid(address) == isValid)
        guard !isValid else { return }
        let relay = MailRelay(host: "127.0.0.1", port: 1, encryption: .none, from: "a@b")
        let failure = try await Sample.failure(of: Sample.delivery(relay: relay), to: .email(address: address))
        #expect(failure.permanent)
        #expect(failure.message.contains("is no mail address"))
    }

    @Test(arguments: [
        ("RCPT", "550 5.1.1 no such user", true), ("RCPT", "450 4.2.1 try later", false),
        ("MAIL", "553 sender refused", true), ("DATA", "554 no", true), (".", "554 5.7.1 spam", true),
        (".", "452 4.3.1 full", false), ("MAIL", "530 5.7.0 authentication required", false),
    ])
    func tellsLastingRefusalsFromPassingOnes(command: String, reply: String, permanent: Bool) async throws {
        let received = Received<SMTPReceiver.Mail>()
        let listener = try SMTPReceiver(replies: [command: reply]).listen(into: received)
        defer { listener.close() }
        let failure = try await Sample.failure(
            of: Sample.delivery(relay: Self.relay(listener)), to: .email(address: "admin@example.com"))
        #expect(failure.permanent == permanent)
        #expect(failure.message == "the mail relay refused: \(reply)")
        #expect(received.all.isEmpty)
    }

    @Test func logsInWhereItIsToldTo() async throws {
        let received = Received<SMTPReceiver.Mail>()
        let listener = try SMTPReceiver(extensions: ["AUTH PLAIN"]).listen(into: received)
        defer { listener.close() }
        let file = try Sample.file("pass word\n")
        defer { try? FileManager.default.removeItem(atPath: file) }
        var relay = Self.relay(listener)
        relay.user = "cloud"
        relay.passwordFile = file
        try await Sample.delivery(relay: relay).deliver(
            Sample.notification, to: .email(address: "admin@example.com"), acceptLink: nil)
        let token = Data("\0cloud\0pass word".utf8).base64EncodedString()
        #expect(received.all.first?.login == "AUTH PLAIN \(token)")
    }

    @Test func waitsForTheOperatorWhereTheLoginIsRefused() async throws {
        let received = Received<SMTPReceiver.Mail>()
        let listener = try SMTPReceiver(replies: ["AUTH": "535 5.7.8 wrong"], extensions: ["AUTH PLAIN"])
            .listen(into: received)
        defer { listener.close() }
        let file = try Sample.file("secret-password")
        defer { try? FileManager.default.removeItem(atPath: file) }
        var relay = Self.relay(listener)
        relay.user = "cloud"
        relay.passwordFile = file
        let failure = try await Sample.failure(
            of: Sample.delivery(relay: relay), to: .email(address: "admin@example.com"))
        #expect(!failure.permanent)
        #expect(failure.message.contains("535 5.7.8 wrong") && failure.message.contains("smtp.user"))
        #expect(!failure.message.contains("secret-password"))
    }

    @Test func sendsNothingInClearWhereTLSIsRequired() async throws {
        let received = Received<SMTPReceiver.Mail>()
        let listener = try SMTPReceiver().listen(into: received)
        defer { listener.close() }
        let failure = try await Sample.failure(
            of: Sample.delivery(relay: Self.relay(listener, encryption: .startTLS)),
            to: .email(address: "admin@example.com"))
        #expect(!failure.permanent)
        #expect(failure.message.contains("STARTTLS"))
        #expect(received.all.isEmpty)
    }

    @Test func saysWhatIsMissing() async throws {
        let channel = NotificationChannel.email(address: "admin@example.com")
        let none = try await Sample.failure(of: Sample.delivery(), to: channel)
        #expect(
            none
                == DeliveryError(
                    permanent: false, message: "no mail relay is configured; name one under smtp in the Cloud document")
        )
        var relay = MailRelay(host: "127.0.0.1", port: 1, user: "x", from: "a@b")
        #expect(
            try await Sample.failure(of: Sample.delivery(relay: relay), to: channel).message.contains("passwordFile"))
        relay.passwordFile = "/no/such"
        #expect(try await Sample.failure(of: Sample.delivery(relay: relay), to: channel).message.contains("/no/such"))
        relay.user = nil
        relay.host = "a/b"
        #expect(
            try await Sample.failure(of: Sample.delivery(relay: relay), to: channel).message.contains("smtp.host"))
        relay.host = "127.0.0.1"
        relay.from = "nobody"
        let from = try await Sample.failure(of: Sample.delivery(relay: relay), to: channel)
        #expect(!from.permanent && from.message.contains("smtp.from"))
    }
}
