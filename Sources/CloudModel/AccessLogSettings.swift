/// Where the gateway writes a line for each request, and how.
public struct AccessLogSettings: Codable, Hashable, Sendable {
    public enum Target: Codable, Hashable, Sendable, CustomStringConvertible {
        case standardOutput
        /// An absolute path; opened anew when the process is told that the file has been moved away (SIGHUP).
        case file(String)

        /// As it stands in a configuration file.
        public init(text: String) { self = text == "stdout" ? .standardOutput : .file(text) }

        public var description: String {
            switch self {
            case .standardOutput: "stdout"
            case .file(let path): path
            }
        }
    }

    public enum Format: String, Codable, Hashable, Sendable, CaseIterable {
        /// One JSON object a line.
        case json
        /// Apache's and nginx's `combined`.
        case combined
    }

    public var target: Target
    public var format: Format

    public init(target: Target, format: Format = .json) {
        self.target = target
        self.format = format
    }
}
