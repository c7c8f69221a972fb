import HTTP1

/// What a parser said of a request, copied out of its buffer so that it can be compared.
struct ParsedRequest: Equatable {
    var length = 0
    var method = RequestMethod.other
    var methodText = ""
    var target = ""
    var path = ""
    var pathAndQuery = ""
    var version = HTTPVersion.http11
    var host: String?
    var hostName: String?
    var port: UInt16?
    var isAbsoluteForm = false
    var body = BodyFraming.none
    var keepsAlive = true
    var expectsContinue = false
    var upgradeProtocol: String?
    var isWebSocketUpgrade = false
    var acceptsTrailers = false
    var fields: [ParsedField] = []

    func value(_ name: String) -> String? { fields.first { $0.name.lowercased() == name }?.value }
}

struct ParsedField: Equatable {
    var name: String
    var value: String
    var known: FieldName
    var isConnectionListed: Bool
}

struct ParsedResponse: Equatable {
    var length = 0
    var status = 0
    var reason = ""
    var version = HTTPVersion.http11
    var body = BodyFraming.none
    var keepsAlive = true
    var upgradeProtocol: String?
    var fields: [ParsedField] = []
}

enum Parsed<Message: Equatable>: Equatable {
    case incomplete
    case complete(Message)
    case malformed(MessageFault)

    var message: Message? {
        if case .complete(let message) = self { message } else { nil }
    }
    var fault: MessageFault? {
        if case .malformed(let fault) = self { fault } else { nil }
    }
}

/// Gives `octets` in memory of exactly their size, so that a read beyond the end is one beyond the allocation.
func withExactMemory<Result>(
    _ octets: some Collection<UInt8>, _ body: (UnsafeRawBufferPointer) throws -> Result
) rethrows -> Result {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: octets.count, alignment: 1)
    defer { memory.deallocate() }
    memory.copyBytes(from: octets)
    return try body(UnsafeRawBufferPointer(memory))
}

func withWritableMemory<Result>(_ count: Int, _ body: (UnsafeMutableRawBufferPointer) throws -> Result) rethrows
    -> Result
{
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 1)
    defer { memory.deallocate() }
    return try body(memory)
}

/// Parses a request whose octets arrive as far as each of `arrivals`, in new memory each time, then all of it.
func parseRequest(
    _ octets: [UInt8], arrivals: [Int] = [], limits: HeadLimits = HeadLimits()
) -> Parsed<ParsedRequest> {
    var head = RequestHead(limits: limits)
    for count in arrivals + [octets.count] {
        let result = parse(octets.prefix(count), with: &head)
        if result != .incomplete { return result }
    }
    return .incomplete
}

/// Gives `octets` to a head that may have seen others before.
func parse(_ octets: some Collection<UInt8>, with head: inout RequestHead) -> Parsed<ParsedRequest> {
    withExactMemory(octets) { buffer -> Parsed<ParsedRequest> in
        switch head.parse(buffer) {
        case .incomplete: .incomplete
        case .malformed(let fault): .malformed(fault)
        case .complete(let length): .complete(copy(head, length, buffer))
        }
    }
}

func parseRequest(_ text: String, arrivals: [Int] = [], limits: HeadLimits = HeadLimits()) -> Parsed<ParsedRequest> {
    parseRequest(Array(text.utf8), arrivals: arrivals, limits: limits)
}

func parseResponse(
    _ octets: [UInt8], answering method: RequestMethod = .get, arrivals: [Int] = [], limits: HeadLimits = HeadLimits()
) -> Parsed<ParsedResponse> {
    var head = ResponseHead(limits: limits)
    for count in arrivals + [octets.count] {
        let result = withExactMemory(octets.prefix(count)) { buffer -> Parsed<ParsedResponse> in
            switch head.parse(buffer, answering: method) {
            case .incomplete: .incomplete
            case .malformed(let fault): .malformed(fault)
            case .complete(let length): .complete(copy(head, length, buffer))
            }
        }
        if result != .incomplete { return result }
    }
    return .incomplete
}

func parseResponse(_ text: String, answering method: RequestMethod = .get) -> Parsed<ParsedResponse> {
    parseResponse(Array(text.utf8), answering: method)
}

private func copy(_ head: borrowing RequestHead, _ length: Int, _ buffer: UnsafeRawBufferPointer) -> ParsedRequest {
    ParsedRequest(
        length: length, method: head.method, methodText: head.methodRange.string(in: buffer),
        target: head.target.string(in: buffer), path: head.path.string(in: buffer),
        pathAndQuery: head.pathAndQuery.string(in: buffer), version: head.version,
        host: head.authority?.whole.string(in: buffer), hostName: head.authority?.name.string(in: buffer),
        port: head.authority?.port, isAbsoluteForm: head.isAbsoluteForm, body: head.body,
        keepsAlive: head.keepsAlive, expectsContinue: head.expectsContinue,
        upgradeProtocol: head.upgradeProtocol?.string(in: buffer), isWebSocketUpgrade: head.isWebSocketUpgrade,
        acceptsTrailers: head.acceptsTrailers, fields: copy(head.fields, buffer))
}

private func copy(_ head: borrowing ResponseHead, _ length: Int, _ buffer: UnsafeRawBufferPointer) -> ParsedResponse {
    ParsedResponse(
        length: length, status: head.status, reason: head.reason.string(in: buffer), version: head.version,
        body: head.body, keepsAlive: head.keepsAlive, upgradeProtocol: head.upgradeProtocol?.string(in: buffer),
        fields: copy(head.fields, buffer))
}

private func copy(_ fields: borrowing HeadFields, _ buffer: UnsafeRawBufferPointer) -> [ParsedField] {
    var copied: [ParsedField] = []
    for index in 0..<fields.count {
        let line = fields[index]
        copied.append(
            ParsedField(
                name: line.name.string(in: buffer), value: line.value.string(in: buffer), known: line.known,
                isConnectionListed: line.isConnectionListed))
    }
    return copied
}

/// A request with these field lines after a good Host; each ends with CRLF here.
func request(_ lines: String..., version: String = "HTTP/1.1", method: String = "POST") -> String {
    "\(method) /a \(version)\r\nHost: example.test\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n"
}

/// A response with these field lines; each ends with CRLF here.
func response(_ lines: String..., status: String = "200 OK", version: String = "HTTP/1.1") -> String {
    "\(version) \(status)\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n"
}

/// Small, seeded and the same everywhere (SplitMix64).
struct TestGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
