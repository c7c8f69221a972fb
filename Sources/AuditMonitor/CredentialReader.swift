import CloudModel
import Credentials

/// Who tries to log in, and what stands for the secret that was presented.
struct PresentedCredential: Hashable {
    var principal = ""
    var kind = AuditEvent.CredentialKind.none
    var tag: String?
    var fault: Fault?

    /// Why principal or secret may not be what the service took.
    enum Fault: String, Hashable {
        /// The request's content is longer than what is read of it, or was broken off.
        case requestTruncated = "request-truncated"
        /// The content has a content coding.
        case requestEncoded = "request-encoded"
        case requestNotJSON = "request-not-json"
        case noAuthorization = "no-authorization"
        case malformedAuthorization = "malformed-authorization"
        /// The request does not have the field that names the principal, or it holds no text.
        case principalMissing = "principal-missing"
        /// The field is there more than once, and servers differ on which counts.
        case principalRepeated = "principal-repeated"
    }
}

/// Takes principal and secret from a request; of the secret only the tag leaves it.
struct CredentialReader {
    let tagger: SecretTagger

    // MARK: Authorization

    /// RFC 7617. Another scheme's credential is tagged as a token.
    func readAuthorization(_ value: UnsafeRawBufferPointer?) -> PresentedCredential {
        guard let value, !value.isEmpty else { return PresentedCredential(fault: .noAuthorization) }
        let space = value.firstIndex(of: UInt8(ascii: " ")) ?? value.count
        var start = space
        while start < value.count && value[start] == UInt8(ascii: " ") { start += 1 }
        let content = UnsafeRawBufferPointer(rebasing: value[start...])
        guard Self.isBasic(value[..<space]) else {
            return PresentedCredential(kind: .token, tag: tagger.tag(of: content), fault: .malformedAuthorization)
        }
        let decoded = SecretBuffer(capacity: content.count)
        defer { decoded.wipe() }
        guard decoded.fill({ Base64.decode(content, .standard, into: $0) }),
            let colon = decoded.bytes.firstIndex(of: UInt8(ascii: ":"))
        else { return PresentedCredential(kind: .basic, fault: .malformedAuthorization) }
        let bytes = decoded.bytes
        return PresentedCredential(
            principal: PrintableText.escaped(UnsafeRawBufferPointer(rebasing: bytes[..<colon])), kind: .basic,
            tag: tagger.tag(of: UnsafeRawBufferPointer(rebasing: bytes[(colon + 1)...])),
            fault: colon == 0 ? .principalMissing : nil)
    }

    private static func isBasic(_ scheme: Slice<UnsafeRawBufferPointer>) -> Bool {
        scheme.map(LoginRules.lowercased).elementsEqual("basic".utf8)
    }

    // MARK: Form

    /// `application/x-www-form-urlencoded` as the WHATWG URL Standard parses it, whatever the content type says: a
    /// server may look past it too. The first field of a name counts.
    func readForm(_ content: UnsafeRawBufferPointer, isWhole: Bool, field: String, secret: String?)
        -> PresentedCredential
    {
        var credential = PresentedCredential()
        var principals = 0
        for pair in content.split(separator: UInt8(ascii: "&")) {
            // The last pair of a form that was cut off is cut off itself.
            if !isWhole && pair.endIndex == content.count { break }
            let separator = pair.firstIndex(of: UInt8(ascii: "=")) ?? pair.endIndex
            let name = Self.decodedForm(pair[..<separator])
            let value = Self.decodedForm(pair[min(separator + 1, pair.endIndex)...])
            if name.bytes.elementsEqual(field.utf8) {
                principals += 1
                if principals == 1 { credential.principal = PrintableText.escaped(value.bytes) }
            }
            if let secret, credential.tag == nil, name.bytes.elementsEqual(secret.utf8) {
                credential.kind = .password
                credential.tag = tagger.tag(of: value.bytes)
            }
        }
        credential.fault = Self.fault(isWhole: isWhole, principals: principals, principal: credential.principal)
        return credential
    }

    private static func decodedForm(_ bytes: Slice<UnsafeRawBufferPointer>) -> SecretBuffer {
        let decoded = SecretBuffer(capacity: bytes.count)
        var index = bytes.startIndex
        while index < bytes.endIndex {
            let byte = bytes[index]
            index += 1
            if byte == UInt8(ascii: "%"), index + 1 < bytes.endIndex, let high = hexValue(bytes[index]),
                let low = hexValue(bytes[index + 1])
            {
                decoded.append(byte: high << 4 | low)
                index += 2
            } else {
                decoded.append(byte: byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            }
        }
        return decoded
    }

    static func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }

    // MARK: JSON

    /// The last field of a name counts, as it does for most parsers (RFC 8259, section 4, leaves it open).
    func readJSON(_ content: UnsafeRawBufferPointer, isWhole: Bool, field: String, secret: String?)
        -> PresentedCredential
    {
        var scanner = JSONFieldScanner(content)
        let ending = scanner.scan(for: [field] + (secret.map { [$0] } ?? []))
        var credential = PresentedCredential()
        if let found = scanner.fields[0], let text = scanner.text(of: found) {
            credential.principal = PrintableText.escaped(text.bytes)
        }
        if secret != nil, let found = scanner.fields[1], let text = scanner.text(of: found) {
            credential.kind = .password
            credential.tag = tagger.tag(of: text.bytes)
        }
        if isWhole && ending != .whole {
            credential.fault = .requestNotJSON
        } else {
            credential.fault = Self.fault(
                isWhole: isWhole, principals: scanner.occurrences[0], principal: credential.principal)
        }
        return credential
    }

    private static func fault(isWhole: Bool, principals: Int, principal: String) -> PresentedCredential.Fault? {
        if !isWhole { return .requestTruncated }
        if principal.isEmpty { return .principalMissing }
        return principals > 1 ? .principalRepeated : nil
    }
}
