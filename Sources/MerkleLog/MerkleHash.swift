import Crypto

/// The hash of a leaf, of a node, or of a whole tree: SHA-256 with RFC 9162's separation of leaves from nodes
/// (section 2.1.1), so that neither can be passed off as the other.
public struct MerkleHash: Hashable, Sendable, CustomStringConvertible {
    public static let byteCount = 32

    private let words: (UInt64, UInt64, UInt64, UInt64)

    /// Nil where there are not 32 bytes.
    public init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        var words: [UInt64] = [0, 0, 0, 0]
        for (index, byte) in bytes.enumerated() { words[index / 8] = words[index / 8] << 8 | UInt64(byte) }
        self.words = (words[0], words[1], words[2], words[3])
    }

    private init(_ digest: SHA256.Digest) {
        words = digest.withUnsafeBytes { bytes in
            func word(_ index: Int) -> UInt64 {
                UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
            }
            return (word(0), word(1), word(2), word(3))
        }
    }

    /// Of a log without leaves: the hash of nothing.
    public static let ofEmptyTree = MerkleHash(SHA256().finalize())

    public static func leaf(_ content: [UInt8]) -> MerkleHash {
        var hash = SHA256()
        withUnsafeTemporaryAllocation(byteCount: 1 + content.count, alignment: 8) { bytes in
            bytes[0] = 0x00
            UnsafeMutableRawBufferPointer(rebasing: bytes[1...]).copyBytes(from: content)
            hash.update(bufferPointer: UnsafeRawBufferPointer(bytes))
        }
        return MerkleHash(hash.finalize())
    }

    public static func node(_ left: MerkleHash, _ right: MerkleHash) -> MerkleHash {
        var hash = SHA256()
        withUnsafeTemporaryAllocation(byteCount: 1 + 2 * byteCount, alignment: 8) { bytes in
            bytes[0] = 0x01
            left.store(into: UnsafeMutableRawBufferPointer(rebasing: bytes[1..<(1 + byteCount)]))
            right.store(into: UnsafeMutableRawBufferPointer(rebasing: bytes[(1 + byteCount)...]))
            hash.update(bufferPointer: UnsafeRawBufferPointer(bytes))
        }
        return MerkleHash(hash.finalize())
    }

    private func store(into bytes: UnsafeMutableRawBufferPointer) {
        bytes.storeBytes(of: words.0.bigEndian, toByteOffset: 0, as: UInt64.self)
        bytes.storeBytes(of: words.1.bigEndian, toByteOffset: 8, as: UInt64.self)
        bytes.storeBytes(of: words.2.bigEndian, toByteOffset: 16, as: UInt64.self)
        bytes.storeBytes(of: words.3.bigEndian, toByteOffset: 24, as: UInt64.self)
    }

    public var bytes: [UInt8] {
        [UInt8](unsafeUninitializedCapacity: Self.byteCount) { buffer, count in
            store(into: UnsafeMutableRawBufferPointer(buffer))
            count = Self.byteCount
        }
    }

    /// Lower-case hex.
    public var description: String {
        [words.0, words.1, words.2, words.3].map { word in
            let text = String(word, radix: 16)
            return String(repeating: "0", count: 16 - text.utf8.count) + text
        }.joined()
    }

    public static func == (left: MerkleHash, right: MerkleHash) -> Bool { left.words == right.words }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
        hasher.combine(words.1)
    }
}
