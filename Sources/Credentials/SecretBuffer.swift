internal import Glibc

/// Bytes that may hold a secret: bounded, never moved (so that no copy is left behind when they grow), and overwritten
/// when they are let go.
package final class SecretBuffer {
    private let storage: UnsafeMutableRawBufferPointer
    package private(set) var count = 0
    /// More was appended than the capacity holds; what was beyond is lost.
    package private(set) var isTruncated = false

    package init(capacity: Int) {
        storage = .allocate(byteCount: max(capacity, 1), alignment: 1)
        storage.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit {
        wipe()
        storage.deallocate()
    }

    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: storage[..<count]) }

    package func append(_ bytes: UnsafeRawBufferPointer) {
        let taken = min(bytes.count, storage.count - count)
        if taken < bytes.count { isTruncated = true }
        if taken > 0 {
            UnsafeMutableRawBufferPointer(rebasing: storage[count..<(count + taken)])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<taken]))
            count += taken
        }
    }

    package func append(byte: UInt8) {
        if count < storage.count {
            storage[count] = byte
            count += 1
        } else {
            isTruncated = true
        }
    }

    /// Replaces the content by what `body` writes into the whole capacity; it gives back how many bytes, nil for none.
    /// Gives back whether there were any to write.
    package func fill(_ body: (UnsafeMutableRawBufferPointer) -> Int?) -> Bool {
        let written = body(storage)
        count = written ?? 0
        return written != nil
    }

    /// Overwrites everything and forgets it.
    package func wipe() {
        // Unlike a plain store, the compiler may not leave this out because nobody reads it.
        if let base = storage.baseAddress { explicit_bzero(base, storage.count) }
        count = 0
        isTruncated = false
    }

    /// For tests: whether every byte of the storage is zero.
    package var isWiped: Bool { storage.allSatisfy { $0 == 0 } }
}
