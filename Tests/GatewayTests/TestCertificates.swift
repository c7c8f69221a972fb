import CloudModel
import Foundation
import Testing

/// Certificates that live as long as a test, made with the `openssl` command in a directory of their own.
final class TestCertificates: Sendable {
    let directory: String

    init() throws {
        directory = NSTemporaryDirectory() + "gateway-certificates-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    func path(_ name: String) -> String { "\(directory)/\(name)" }

    func files(_ name: String) -> CertificateFiles {
        CertificateFiles(certificateFile: path("\(name).pem"), keyFile: path("\(name).key"))
    }

    /// One that signs itself, and may sign others: `NAME.pem` and `NAME.key`.
    func makeAuthority(_ name: String) throws {
        try Self.openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=\(name)",
            "-keyout", path("\(name).key"), "-out", path("\(name).pem"))
    }

    /// One for these names, signed by the authority or by itself.
    @discardableResult
    func make(
        _ name: String, subject: String? = nil, for names: String = "DNS:localhost,IP:127.0.0.1",
        by authority: String? = nil, key: String = "ec -pkeyopt ec_paramgen_curve:P-256", options: String = ""
    ) throws -> CertificateFiles {
        var signing: [String] = []
        if let authority { signing = ["-CA", path("\(authority).pem"), "-CAkey", path("\(authority).key")] }
        try Self.openssl(
            "req -x509 -newkey \(key) -nodes -days 2 \(options)",
            ["-subj", subject ?? "/CN=\(name)", "-addext", "subjectAltName=\(names)"] + signing
                + ["-addext", "basicConstraints=critical,CA:FALSE"]
                + ["-keyout", path("\(name).key"), "-out", path("\(name).pem")])
        return files(name)
    }

    /// SHA-256 of the certificate in hex, as `openssl x509 -fingerprint -sha256` shows it without its colons.
    func fingerprint(_ name: String) throws -> String {
        let text = try Self.openssl("x509 -noout -fingerprint -sha256", "-in", path("\(name).pem"))
        let digits = text.split(separator: "=").last ?? ""
        return digits.filter(\.isHexDigit).lowercased()
    }

    @discardableResult
    private static func openssl(_ words: String, _ more: String...) throws -> String { try openssl(words, more) }

    @discardableResult
    private static func openssl(_ words: String, _ more: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = words.split(separator: " ").map(String.init) + more
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        let complaint = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw TestSocket.Failure(
                description: "openssl \(words) \(more): \(String(decoding: complaint, as: UTF8.self))")
        }
        return String(decoding: text, as: UTF8.self)
    }
}
