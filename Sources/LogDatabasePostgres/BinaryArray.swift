import CPostgres

/// Arrays of numbers in the server's binary form (array_recv): the count of dimensions, whether there are NULLs, the
/// type of the elements, then of each dimension its length and first index, then each element behind its length.
enum BinaryArray {
    /// Of `bigint[]`, and of `bigint` (pg_type.dat).
    static let type: Oid = 1_016
    private static let element: UInt32 = 20

    static func bytes(_ numbers: [Int64]) -> [UInt8] {
        let head: [UInt32] = [1, 0, element, UInt32(numbers.count), 1]
        let size = head.count * 4 + numbers.count * 12
        return [UInt8](unsafeUninitializedCapacity: size) { bytes, count in
            let raw = UnsafeMutableRawBufferPointer(bytes)
            for (index, word) in head.enumerated() {
                raw.storeBytes(of: word.bigEndian, toByteOffset: index * 4, as: UInt32.self)
            }
            var end = head.count * 4
            for number in numbers {
                raw.storeBytes(of: UInt32(8).bigEndian, toByteOffset: end, as: UInt32.self)
                raw.storeBytes(of: number.bigEndian, toByteOffset: end + 4, as: Int64.self)
                end += 12
            }
            count = size
        }
    }
}

extension [[UInt8]] {
    /// The pointers hold for the time of `body`.
    func withPointers<Value>(_ body: ([UnsafePointer<CChar>?]) throws -> Value) rethrows -> Value {
        let all = Array<UInt8>(joined())
        return try all.withUnsafeBytes { bytes in
            var start = 0
            let pointers = map { value -> UnsafePointer<CChar>? in
                defer { start += value.count }
                return (bytes.baseAddress! + start).assumingMemoryBound(to: CChar.self)
            }
            return try body(pointers)
        }
    }
}
