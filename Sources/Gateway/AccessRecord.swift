package import CloudModel
import CGateway

/// What the access log says of one request: fixed figures, and texts as they came.
package struct AccessRecord {
    /// The figures as they lie in a ring, in front of the texts.
    struct Figures {
        var requestID: RequestID
        var receivedAt: Timestamp
        var duration: Int64
        /// At the instance; negative where no instance had it.
        var instanceDuration: Int64
        var bytesIn: UInt64
        var bytesOut: UInt64
        var sampledOneIn: UInt32
        var status: UInt16
        var outcome: RequestOutcome
        var isHTTP10: Bool
        /// Of each text, in the order of `Text`.
        var lengths: InlineLengths
    }

    /// A length for each text, two bytes each: nine in nine places, the compiler packs them without gaps.
    struct InlineLengths {
        private var low: (UInt16, UInt16, UInt16, UInt16, UInt16) = (0, 0, 0, 0, 0)
        private var high: (UInt16, UInt16, UInt16, UInt16) = (0, 0, 0, 0)

        subscript(_ text: Text) -> Int {
            @inline(__always) get {
                withUnsafeBytes(of: self) { Int($0.load(fromByteOffset: text.rawValue * 2, as: UInt16.self)) }
            }
            @inline(__always) set {
                withUnsafeMutableBytes(of: &self) {
                    $0.storeBytes(
                        of: UInt16(truncatingIfNeeded: newValue), toByteOffset: text.rawValue * 2, as: UInt16.self)
                }
            }
        }
    }

    enum Text: Int, CaseIterable {
        case client, consumer, service, instance
        case method, host, path, referer, userAgent

        /// Longer ones are cut.
        var limit: Int {
            switch self {
            case .client: 48
            case .consumer, .service, .instance: 64
            case .method: 24
            case .host: 128
            case .path: 512
            case .referer, .userAgent: 160
            }
        }

        /// Those that are known only while the request's head is there.
        static let ofHead: [Text] = [.method, .host, .path, .referer, .userAgent]
    }

    static let limit = MemoryLayout<Figures>.stride + Text.allCases.reduce(0) { $0 + $1.limit }

    package var requestID: RequestID
    package var receivedAt: Timestamp
    package var durationMicroseconds: Int64
    package var instanceMicroseconds: Int64?
    package var bytesIn: UInt64
    package var bytesOut: UInt64
    /// One of so many requests of the service is logged.
    package var sampledOneIn: Int
    package var status: UInt16
    package var outcome: RequestOutcome
    package var isHTTP10: Bool
    package var client: [UInt8]
    package var consumer: [UInt8]
    package var service: [UInt8]
    package var instance: [UInt8]
    package var method: [UInt8]
    package var host: [UInt8]
    /// Without query.
    package var path: [UInt8]
    package var referer: [UInt8]
    package var userAgent: [UInt8]

    /// Reads a record of a ring.
    init(_ bytes: UnsafeRawBufferPointer) {
        let figures = bytes.loadUnaligned(as: Figures.self)
        var start = MemoryLayout<Figures>.stride
        func next(_ text: Text) -> [UInt8] {
            defer { start += figures.lengths[text] }
            return Array(bytes[start..<(start + figures.lengths[text])])
        }
        requestID = figures.requestID
        receivedAt = figures.receivedAt
        durationMicroseconds = figures.duration
        instanceMicroseconds = figures.instanceDuration < 0 ? nil : figures.instanceDuration
        bytesIn = figures.bytesIn
        bytesOut = figures.bytesOut
        sampledOneIn = Int(figures.sampledOneIn)
        status = figures.status
        outcome = figures.outcome
        isHTTP10 = figures.isHTTP10
        client = next(.client)
        consumer = next(.consumer)
        service = next(.service)
        instance = next(.instance)
        method = next(.method)
        host = next(.host)
        path = next(.path)
        referer = next(.referer)
        userAgent = next(.userAgent)
    }

    package init(requestID: RequestID, receivedAt: Timestamp, status: UInt16, outcome: RequestOutcome) {
        self.requestID = requestID
        self.receivedAt = receivedAt
        durationMicroseconds = 0
        instanceMicroseconds = nil
        bytesIn = 0
        bytesOut = 0
        sampledOneIn = 1
        self.status = status
        self.outcome = outcome
        isHTTP10 = false
        client = []
        consumer = []
        service = []
        instance = []
        method = []
        host = []
        path = []
        referer = []
        userAgent = []
    }
}

/// What the heads of the present requests said, by connection: written when a head is whole, read when its request is
/// booked. Reserved address space that is backed where it is used.
struct AccessNotes {
    private static let stride = 1_024
    private let memory: UnsafeMutableRawPointer
    private let byteCount: Int

    init(connections: Int) throws(GatewayError) {
        byteCount = connections * Self.stride
        guard let memory = cgateway_reserve(byteCount) else {
            throw GatewayError(.exhausted, "cannot reserve \(byteCount) bytes for the access log")
        }
        self.memory = memory
    }

    func deallocate() { cgateway_unreserve(memory, byteCount) }

    /// Ten bytes of lengths, then the texts.
    @inline(__always)
    func write(_ connection: Int, _ texts: (AccessRecord.Text) -> UnsafeRawBufferPointer) {
        let note = memory + connection * Self.stride
        var end = AccessRecord.Text.ofHead.count * 2
        for (position, text) in AccessRecord.Text.ofHead.enumerated() {
            let bytes = texts(text)
            let count = min(bytes.count, text.limit)
            if count > 0, let base = bytes.baseAddress { (note + end).copyMemory(from: base, byteCount: count) }
            note.storeBytes(of: UInt16(truncatingIfNeeded: count), toByteOffset: position * 2, as: UInt16.self)
            end += count
        }
    }

    /// Copies the texts to `target` and says how long each is; gives back their length together.
    @inline(__always)
    func copy(_ connection: Int, to target: UnsafeMutableRawPointer, _ lengths: inout AccessRecord.InlineLengths) -> Int
    {
        let note = memory + connection * Self.stride
        var total = 0
        for (position, text) in AccessRecord.Text.ofHead.enumerated() {
            let count = Int(note.load(fromByteOffset: position * 2, as: UInt16.self))
            lengths[text] = count
            total += count
        }
        target.copyMemory(from: note + AccessRecord.Text.ofHead.count * 2, byteCount: total)
        return total
    }
}
