package import CloudModel

/// The header of the PROXY protocol (HAProxy, "The PROXY protocol, versions 1 & 2", 2020), with which a load balancer
/// says who connected to it, before the first byte of the connection that it passes on.
package enum ProxyHeader {
    /// One end of the connection that the load balancer has accepted.
    package struct Peer: Hashable, Sendable {
        package var address: IPAddressBits
        package var port: UInt16

        package init(address: IPAddressBits, port: UInt16) {
            self.address = address
            self.port = port
        }
    }

    package enum Outcome: Hashable, Sendable {
        /// More bytes are needed.
        case incomplete
        case malformed
        /// The header's length, and who the consumer is: nil where the load balancer speaks for itself (its health
        /// checks), or knows no address.
        case complete(length: Int, source: Peer?)
    }

    /// The longest header that is read; version 2 may have more behind the addresses, up to 64 KiB, which nobody sends.
    package static let maximumLength = 4_096
    /// The longest header that is written.
    package static let maximumWritten = 107

    private static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]

    // MARK: Reading

    package static func parse(_ bytes: UnsafeRawBufferPointer) -> Outcome {
        guard let first = bytes.first else { return .incomplete }
        if first == UInt8(ascii: "P") { return parseText(bytes) }
        for (index, byte) in signature.enumerated() {
            guard index < bytes.count else { return .incomplete }
            guard bytes[index] == byte else { return .malformed }
        }
        guard bytes.count >= 16 else { return .incomplete }
        let length = 16 + Int(bytes[14]) << 8 + Int(bytes[15])
        guard bytes[12] >> 4 == 2, length <= maximumLength else { return .malformed }
        guard bytes.count >= length else { return .incomplete }
        switch (bytes[12] & 15, bytes[13]) {
        case (0, _): return .complete(length: length, source: nil)
        // TCP over IPv4 and over IPv6; anything else is passed over, as the specification asks.
        case (1, 0x11):
            guard length >= 28 else { return .malformed }
            let four = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt32.self))
            return .complete(length: length, source: Peer(address: IPAddressBits(four: four), port: port(bytes, 24)))
        case (1, 0x21):
            guard length >= 52 else { return .malformed }
            let six = UInt128(bigEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt128.self))
            return .complete(length: length, source: Peer(address: IPAddressBits(bits: six), port: port(bytes, 48)))
        case (1, _): return .complete(length: length, source: nil)
        default: return .malformed
        }
    }

    private static func port(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt16 {
        UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1])
    }

    /// `PROXY TCP4 192.0.2.1 198.51.100.2 56324 443` and CRLF: 107 octets at most.
    private static func parseText(_ bytes: UnsafeRawBufferPointer) -> Outcome {
        let line = bytes.prefix(maximumWritten)
        guard let end = line.firstIndex(of: 0x0A) else {
            let expected = Array("PROXY ".utf8)
            let isPrefix = zip(line, expected).allSatisfy { $0 == $1 }
            return isPrefix && bytes.count < maximumWritten ? .incomplete : .malformed
        }
        guard end > 0, line[end - 1] == 0x0D else { return .malformed }
        let words = line[..<(end - 1)].split(separator: 0x20, omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        guard words.count >= 2, words[0] == "PROXY" else { return .malformed }
        if words[1] == "UNKNOWN" { return .complete(length: end + 1, source: nil) }
        guard words.count == 6, words[1] == "TCP4" || words[1] == "TCP6", let source = IPAddressBits(words[2]),
            IPAddressBits(words[3]) != nil, AddressText.isIPv4(words[2]) == (words[1] == "TCP4"),
            AddressText.isIPv4(words[3]) == (words[1] == "TCP4"), let port = UInt16(words[4]), UInt16(words[5]) != nil
        else { return .malformed }
        return .complete(length: end + 1, source: Peer(address: source, port: port))
    }

    // MARK: Writing

    /// Writes the header for a connection from `source` to `destination`; gives back its length, at most
    /// `maximumWritten`.
    package static func write(
        _ version: ProxyProtocol, source: Peer, destination: Peer, to buffer: UnsafeMutableRawBufferPointer
    ) -> Int {
        let areFour = source.address.isFour && destination.address.isFour
        let bytes = version == .v1 ? text(source, destination, areFour) : binary(source, destination, areFour)
        buffer.copyBytes(from: bytes)
        return bytes.count
    }

    private static func text(_ source: Peer, _ destination: Peer, _ areFour: Bool) -> [UInt8] {
        let family = areFour ? "TCP4" : "TCP6"
        let (from, to) = (shown(source.address, areFour), shown(destination.address, areFour))
        return Array("PROXY \(family) \(from) \(to) \(source.port) \(destination.port)\r\n".utf8)
    }

    private static func shown(_ address: IPAddressBits, _ isFour: Bool) -> String {
        if isFour {
            return stride(from: 24, through: 0, by: -8).map { String(UInt8(truncatingIfNeeded: address.bits >> $0)) }
                .joined(separator: ".")
        }
        return stride(from: 112, through: 0, by: -16)
            .map { String(UInt16(truncatingIfNeeded: address.bits >> UInt128($0)), radix: 16) }.joined(separator: ":")
    }

    private static func binary(_ source: Peer, _ destination: Peer, _ areFour: Bool) -> [UInt8] {
        let width = areFour ? 4 : 16
        var bytes = signature + [0x21, areFour ? 0x11 : 0x21, 0, UInt8(width * 2 + 4)]
        for peer in [source, destination] {
            for index in (0..<width).reversed() {
                bytes.append(UInt8(truncatingIfNeeded: peer.address.bits >> (index * 8)))
            }
        }
        for port in [source.port, destination.port] { bytes += [UInt8(port >> 8), UInt8(port & 255)] }
        return bytes
    }
}
