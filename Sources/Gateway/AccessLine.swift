package import CloudModel

/// Makes lines of the access log. Runs on the log's own thread.
///
/// What a secret could be in is left out or cut: queries, the whole of `authorization`, `cookie` and `x-api-key`, the
/// user part and query of a referer, and whatever looks like an API key anywhere else.
package enum AccessLine {
    package static func append(_ record: AccessRecord, _ format: AccessLogSettings.Format, to line: inout [UInt8]) {
        switch format {
        case .json: appendJSON(record, to: &line)
        case .combined: appendCombined(record, to: &line)
        }
    }

    // MARK: JSON

    private static func appendJSON(_ record: AccessRecord, to line: inout [UInt8]) {
        func add(_ key: StaticString, _ text: [UInt8]) {
            guard !text.isEmpty else { return }
            line.append(contentsOf: line.last == UInt8(ascii: "{") ? "\"".utf8 : ",\"".utf8)
            key.withUTF8Buffer { line.append(contentsOf: $0) }
            line.append(contentsOf: "\":\"".utf8)
            // Not what would be UTF-8 elsewhere: a reader of JSON may refuse the whole line.
            for byte in String(decoding: text, as: UTF8.self).utf8 { appendEscaped(byte, to: &line) }
            line.append(UInt8(ascii: "\""))
        }
        func add(_ key: StaticString, number: some BinaryInteger) {
            line.append(contentsOf: ",\"".utf8)
            key.withUTF8Buffer { line.append(contentsOf: $0) }
            line.append(contentsOf: "\":\(number)".utf8)
        }
        line.append(UInt8(ascii: "{"))
        add("time", Array(record.receivedAt.rfc3339.utf8))
        add("requestID", Array(record.requestID.description.utf8))
        add("client", record.client)
        add("consumer", record.consumer)
        add("service", record.service)
        add("instance", record.instance)
        add("method", record.method)
        add("host", record.host)
        add("path", withoutKeys(record.path))
        add("protocol", Array((record.isHTTP10 ? "HTTP/1.0" : "HTTP/1.1").utf8))
        add("status", number: record.status)
        add("outcome", Array(record.outcome.word.utf8))
        add("bytesIn", number: record.bytesIn)
        add("bytesOut", number: record.bytesOut)
        add("durationMicroseconds", number: record.durationMicroseconds)
        if let microseconds = record.instanceMicroseconds { add("instanceMicroseconds", number: microseconds) }
        add("referer", withoutKeys(bare(referer: record.referer)))
        add("userAgent", withoutKeys(record.userAgent))
        if record.sampledOneIn > 1 { add("sampledOneIn", number: record.sampledOneIn) }
        line.append(contentsOf: "}\n".utf8)
    }

    private static func appendEscaped(_ byte: UInt8, to line: inout [UInt8]) {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"):
            line.append(UInt8(ascii: "\\"))
            line.append(byte)
        case 0..<0x20, 0x7F: line.append(contentsOf: "\\u00".utf8 + [hexDigit(byte >> 4), hexDigit(byte & 15)])
        default: line.append(byte)
        }
    }

    // MARK: Combined

    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    private static func appendCombined(_ record: AccessRecord, to line: inout [UInt8]) {
        /// As nginx does: what could end a field or the line is written in hex.
        func add(_ text: [UInt8]) {
            if text.isEmpty { line.append(UInt8(ascii: "-")) }
            for byte in text {
                if byte < 0x20 || byte >= 0x7F || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
                    line.append(contentsOf: "\\x".utf8 + [hexDigit(byte >> 4), hexDigit(byte & 15)])
                } else {
                    line.append(byte)
                }
            }
        }
        func add(_ text: String) { line.append(contentsOf: text.utf8) }
        let isAnonymous = record.consumer.elementsEqual(ConsumerID.anonymous.rawValue.utf8)
        add(record.client)
        add(" - ")
        add(isAnonymous ? [] : record.consumer)
        add(" [\(time(record.receivedAt))] \"")
        add(record.method)
        add(" ")
        add(withoutKeys(record.path))
        add(record.isHTTP10 ? " HTTP/1.0\" " : " HTTP/1.1\" ")
        add("\(record.status) \(record.bytesOut) \"")
        add(withoutKeys(bare(referer: record.referer)))
        add("\" \"")
        add(withoutKeys(record.userAgent))
        add("\"\n")
    }

    /// `10/Oct/2000:13:55:36 +0000`.
    private static func time(_ timestamp: Timestamp) -> String {
        let text = Array(timestamp.rfc3339)
        let month = Int(String(text[5...6])).map { months[$0 - 1] } ?? "Jan"
        return "\(String(text[8...9]))/\(month)/\(String(text[0...3])):\(String(text[11...18])) +0000"
    }

    // MARK: Secrets

    /// Scheme, host and path alone: user, password, query and fragment may be secrets.
    static func bare(referer: [UInt8]) -> [UInt8] {
        let end = referer.firstIndex { $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") } ?? referer.count
        let address = Array(referer[..<end])
        guard let colon = address.firstIndex(of: UInt8(ascii: ":")), address[colon...].starts(with: "://".utf8) else {
            // Without authority there is no user; but what is no address at all is not known to be harmless.
            return address.first == UInt8(ascii: "/") ? address : []
        }
        let rest = address[(colon + 3)...]
        let slash = rest.firstIndex(of: UInt8(ascii: "/")) ?? address.count
        guard let at = rest[..<slash].lastIndex(of: UInt8(ascii: "@")) else { return address }
        return Array(address[..<(colon + 3)] + address[(at + 1)...])
    }

    /// With the secret part of anything that looks like an API key (`cw_…` or `cwa_…`) replaced; its name stays.
    static func withoutKeys(_ text: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var index = 0
        while index < text.count {
            let rest = text[index...]
            let prefix = rest.starts(with: "cw_".utf8) ? 3 : rest.starts(with: "cwa_".utf8) ? 4 : 0
            let length = prefix == 0 ? 0 : rest.dropFirst(prefix).prefix { isOfKey($0) }.count
            guard length > 8 else {
                result.append(text[index])
                index += 1
                continue
            }
            result.append(contentsOf: rest.prefix(prefix + 8))
            result.append(contentsOf: "[secret]".utf8)
            index += prefix + length
        }
        return result
    }

    private static func isOfKey(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"): true
        default: false
        }
    }
}

extension RequestOutcome {
    /// As the log says it.
    fileprivate var word: String {
        switch self {
        case .completed: "completed"
        case .abortedByConsumer: "aborted-by-consumer"
        case .abortedByInstance: "aborted-by-instance"
        case .failed: "failed"
        case .rejected: "rejected"
        case .tunnel: "tunnel"
        case .tunnelContinued: "tunnel-continued"
        }
    }
}
