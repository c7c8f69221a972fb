import Foundation
import FoundationNetworking

/// Sends single requests over URLSession; never follows a redirection, so that the token goes nowhere else.
final class Transport: NSObject, URLSessionTaskDelegate, Sendable {
    struct Answer: Sendable {
        var status: Int
        /// By lower-case name.
        var headers: [String: String]
        var body: [UInt8]
    }

    let server: String
    let timeoutSeconds: Int

    init(server: String, timeoutSeconds: Int) {
        self.server = server
        self.timeoutSeconds = timeoutSeconds
    }

    /// A request that could not be sent, or whose answer was lost, is sent again once if `isRepeatable`.
    func send(_ request: URLRequest, isRepeatable: Bool) async throws(ClientError) -> Answer {
        do { return try await sendOnce(request) } catch {
            guard isRepeatable, case .unreachable = error else { throw error }
            return try await sendOnce(request)
        }
    }

    private func sendOnce(_ request: URLRequest) async throws(ClientError) -> Answer {
        let session = URLSession(configuration: Self.configuration(timeoutSeconds), delegate: self, delegateQueue: nil)
        defer { session.finishTasksAndInvalidate() }
        let result: Result<Answer, ClientError> = await withCheckedContinuation { continuation in
            let task = session.dataTask(with: request) { [server, timeoutSeconds] data, response, error in
                if let error {
                    continuation.resume(
                        returning: .failure(Self.clientError(error, server: server, seconds: timeoutSeconds)))
                } else if let response = response as? HTTPURLResponse {
                    continuation.resume(
                        returning: .success(
                            Answer(
                                status: response.statusCode, headers: Self.headers(of: response),
                                body: [UInt8](data ?? Data()))))
                } else {
                    continuation.resume(
                        returning: .failure(.unexpectedAnswer(server: server, what: "no HTTP response")))
                }
            }
            task.resume()
        }
        return try result.get()
    }

    static func configuration(_ timeoutSeconds: Int) -> URLSessionConfiguration {
        let configuration = URLSessionConfiguration.ephemeral
        configuration.timeoutIntervalForRequest = TimeInterval(timeoutSeconds)
        configuration.httpShouldSetCookies = false
        configuration.urlCache = nil
        return configuration
    }

    static func headers(of response: HTTPURLResponse) -> [String: String] {
        var headers: [String: String] = [:]
        for (name, value) in response.allHeaderFields {
            if let name = name as? String, let value = value as? String { headers[name.lowercased()] = value }
        }
        return headers
    }

    static func clientError(_ error: any Error, server: String, seconds: Int) -> ClientError {
        guard let error = error as? URLError else { return .unreachable(server: server, reason: "\(error)") }
        return switch error.code {
        case .timedOut: .timedOut(server: server, seconds: seconds)
        case .cannotFindHost, .dnsLookupFailed: .unreachable(server: server, reason: "the host name is not known")
        case .cannotConnectToHost: .unreachable(server: server, reason: "the connection was refused")
        case .networkConnectionLost: .unreachable(server: server, reason: "the connection broke")
        case .badURL, .unsupportedURL: .badAddress(server)
        default: .unreachable(server: server, reason: error.localizedDescription)
        }
    }

    func urlSession(
        _ session: URLSession, task: URLSessionTask, willPerformHTTPRedirection response: HTTPURLResponse,
        newRequest request: URLRequest, completionHandler: @escaping @Sendable (URLRequest?) -> Void
    ) { completionHandler(nil) }
}
