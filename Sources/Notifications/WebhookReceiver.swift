import CloudModel
public import CloudPorts
import Foundation

/// Posts lines of JSON as one list. The receiver's status 2xx says that it has them.
public final class WebhookReceiver: LogReceiver {
    private static let connectTimeout = TimeSpan.seconds(5)
    private static let timeout = TimeSpan.seconds(30)

    private let url: String
    private let tokenFile: String?
    private let threads = DeliveryThreads(count: 1, waiting: 1)

    /// - Parameter tokenFile: holds a bearer token, and is read for each list, so that it can be changed.
    public init(url: String, tokenFile: String?) {
        self.url = url
        self.tokenFile = tokenFile
    }

    public func take(_ lines: [String]) async throws(DeliveryError) {
        try await threads.run { [url, tokenFile] () throws(DeliveryError) in
            var headers: [(name: String, value: String)] = []
            if let tokenFile { headers.append(("Authorization", "Bearer \(try Self.token(in: tokenFile))")) }
            try WebhookTransfer(url: url).post(
                Data("[\(lines.joined(separator: ",\n"))]".utf8), headers: headers,
                connectTimeout: Self.connectTimeout, timeout: Self.timeout)
        }
    }

    private static func token(in file: String) throws(DeliveryError) -> String {
        guard let data = FileManager.default.contents(atPath: file) else {
            throw DeliveryError(permanent: false, message: "\(file) cannot be read; write the token into it, mode 0600")
        }
        let token = String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        guard !token.isEmpty, token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw DeliveryError(permanent: false, message: "\(file) must hold one line, the token")
        }
        return token
    }
}
