/// What the service is told when it is started.
struct Options {
    struct Fault: Error, CustomStringConvertible {
        var description: String
    }

    static let usage = """
        usage: sample-service --port N [--address A] [--instance NAME] [--boot-delay-ms N] [--fail-start]
          --port N           listen on this port; 0 takes a free one
          --address A        listen on this address (127.0.0.1)
          --instance NAME    the name to answer with
          --boot-delay-ms N  wait so long before listening
          --fail-start       end with code 1 instead of listening (after the delay)
        """

    var address = "127.0.0.1"
    var port: UInt16 = 0
    var instance = "sample"
    var bootDelayMilliseconds = 0
    var failStart = false

    init(_ arguments: ArraySlice<String>) throws(Fault) {
        var rest = arguments
        var hasPort = false
        while let flag = rest.popFirst() {
            switch flag {
            case "--fail-start": failStart = true
            case "--port":
                port = try Self.number(flag, &rest)
                hasPort = true
            case "--address": address = try Self.value(flag, &rest)
            case "--instance": instance = try Self.value(flag, &rest)
            case "--boot-delay-ms": bootDelayMilliseconds = Int(try Self.number(flag, &rest) as UInt32)
            default: throw Fault(description: "unknown flag \(flag)")
            }
        }
        guard hasPort else { throw Fault(description: "--port is missing") }
    }

    private static func value(_ flag: String, _ rest: inout ArraySlice<String>) throws(Fault) -> String {
        guard let value = rest.popFirst() else { throw Fault(description: "\(flag) needs a value") }
        return value
    }

    private static func number<Number: FixedWidthInteger>(
        _ flag: String, _ rest: inout ArraySlice<String>
    ) throws(Fault) -> Number {
        let text = try value(flag, &rest)
        guard let number = Number(text) else { throw Fault(description: "\(flag) needs a number, not \(text)") }
        return number
    }
}
