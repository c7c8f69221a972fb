import NIOHTTP1

/// Who logs in, and with what: from Basic authorization, a form, or a JSON object.
struct LoginAttempt {
    enum Denial: String, Error {
        case noCredentials = "no credentials"
        case unknownUser = "unknown user"
        case wrongPassword = "wrong password"
    }

    /// For demonstrations; nobody's secrets.
    static let passwords = ["alice": "wonderland", "bob": "builder", "carol": "christmas"]

    var user: String?
    var password: String?

    init(_ head: HTTPRequestHead, body: [UInt8]) {
        let type = head.headers.first(name: "content-type")?.lowercased() ?? ""
        if let authorization = head.headers.first(name: "authorization"),
            authorization.lowercased().hasPrefix("basic "),
            let decoded = Self.base64(authorization.dropFirst(6).utf8)
        {
            let parts = decoded.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
            user = String(decoding: parts[0], as: UTF8.self)
            password = parts.count > 1 ? String(decoding: parts[1], as: UTF8.self) : ""
        } else if type.hasPrefix("application/json") {
            let fields = Self.jsonFields(body)
            (user, password) = (fields["user"], fields["password"])
        } else if type.hasPrefix("application/x-www-form-urlencoded") {
            let fields = Self.formFields(body)
            (user, password) = (fields["user"], fields["password"])
        }
    }

    var outcome: Result<String, Denial> {
        guard let user, let password else { return .failure(.noCredentials) }
        guard let right = Self.passwords[user] else { return .failure(.unknownUser) }
        return right == password ? .success(user) : .failure(.wrongPassword)
    }

    static func formFields(_ body: [UInt8]) -> [String: String] {
        var fields: [String: String] = [:]
        for pair in body.split(separator: UInt8(ascii: "&")) {
            let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            fields[unescaped(parts[0])] = parts.count > 1 ? unescaped(parts[1]) : ""
        }
        return fields
    }

    private static func unescaped(_ text: ArraySlice<UInt8>) -> String {
        var bytes: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The members of a flat object whose values are strings; empty where the body is something else.
    static func jsonFields(_ body: [UInt8]) -> [String: String] {
        var scanner = FlatJSONScanner(rest: body[...])
        return scanner.object() ?? [:]
    }

    private static func base64(_ text: Substring.UTF8View) -> [UInt8]? {
        var bits: UInt32 = 0
        var count = 0
        var bytes: [UInt8] = []
        for character in text where character != UInt8(ascii: "=") {
            let value: UInt8
            switch character {
            case 0x41...0x5A: value = character - 0x41
            case 0x61...0x7A: value = character - 0x61 + 26
            case 0x30...0x39: value = character - 0x30 + 52
            case 0x2B: value = 62
            case 0x2F: value = 63
            default: return nil
            }
            bits = (bits << 6 | UInt32(value)) & 0xFF_FFFF
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return bytes
    }
}

/// Reads `{"name":"value",...}`, with the simple escapes.
private struct FlatJSONScanner {
    var rest: ArraySlice<UInt8>

    mutating func object() -> [String: String]? {
        var fields: [String: String] = [:]
        guard skip("{") else { return nil }
        if skip("}") { return fields }
        repeat {
            guard let name = string(), skip(":"), let value = string() else { return nil }
            fields[name] = value
        } while skip(",")
        return skip("}") ? fields : nil
    }

    private mutating func skip(_ character: Unicode.Scalar) -> Bool {
        while let first = rest.first, [0x20, 0x09, 0x0A, 0x0D].contains(first) { rest.removeFirst() }
        guard rest.first == UInt8(ascii: character) else { return false }
        rest.removeFirst()
        return true
    }

    private mutating func string() -> String? {
        guard skip("\"") else { return nil }
        var bytes: [UInt8] = []
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\"") { return String(decoding: bytes, as: UTF8.self) }
            if byte != UInt8(ascii: "\\") {
                bytes.append(byte)
                continue
            }
            switch rest.popFirst() {
            case UInt8(ascii: "n"): bytes.append(0x0A)
            case UInt8(ascii: "t"): bytes.append(0x09)
            case UInt8(ascii: "u"):
                guard let code = UInt32(String(decoding: rest.prefix(4), as: UTF8.self), radix: 16),
                    let scalar = Unicode.Scalar(code)
                else { return nil }
                rest = rest.dropFirst(4)
                bytes.append(contentsOf: String(Character(scalar)).utf8)
            case .some(let escaped): bytes.append(escaped)
            case .none: return nil
            }
        }
        return nil
    }
}
