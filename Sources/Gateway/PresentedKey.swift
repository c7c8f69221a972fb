/// The API key that a request presents, where it presents one.
package struct PresentedKey {
    package enum Source: UInt8, Sendable {
        case none
        /// `Authorization: Bearer …`
        case bearer
        /// `x-api-key`
        case apiKeyField
    }

    package let source: Source
    /// Empty where there is none.
    package let bytes: UnsafeRawBufferPointer

    /// From the values of the two fields, nil where the request has no such field. `x-api-key` counts first: where it
    /// is present, `Authorization` is the service's own business and is left to it.
    package init(authorization: UnsafeRawBufferPointer?, apiKey: UnsafeRawBufferPointer?) {
        if let apiKey {
            source = .apiKeyField
            bytes = Self.trimmed(apiKey)
        } else if let authorization, let token = Self.bearerToken(authorization) {
            source = .bearer
            bytes = token
        } else {
            source = .none
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
        }
    }

    /// Whether the bytes have the form of this platform's keys (`cw_`), so that they are not some service's own token.
    var claimsToBeAPIKey: Bool {
        source == .apiKeyField
            || (bytes.count > 3 && bytes[0] == UInt8(ascii: "c") && bytes[1] == UInt8(ascii: "w")
                && bytes[2] == UInt8(ascii: "_"))
    }

    /// RFC 6750, section 2.1; the scheme in any case (RFC 9110, section 11.1).
    private static func bearerToken(_ value: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        let scheme: StaticString = "bearer"
        let length = scheme.utf8CodeUnitCount
        guard value.count > length, value[length] == UInt8(ascii: " ") else { return nil }
        for index in 0..<length where value[index] | 0x20 != scheme.utf8Start[index] { return nil }
        return trimmed(UnsafeRawBufferPointer(rebasing: value[length...]))
    }

    private static func trimmed(_ value: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        var start = 0
        var end = value.count
        while start < end && (value[start] == 0x20 || value[start] == 0x09) { start += 1 }
        while end > start && (value[end - 1] == 0x20 || value[end - 1] == 0x09) { end -= 1 }
        return UnsafeRawBufferPointer(rebasing: value[start..<end])
    }
}
