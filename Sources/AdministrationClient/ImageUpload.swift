public import AdministrationAPI
import CCurl
import Foundation
import Glibc

extension AdministrationClient {
    public func images() async throws(ClientError) -> [API.Image] {
        try await list(API.Image.self, path("images"))
    }

    public func removeImage(_ name: String) async throws(ClientError) {
        _ = try await send(request("DELETE", path("images", name)))
    }

    /// Sends an image as it is read; blocks until it is taken or refused.
    /// - Parameters:
    ///   - file: an open descriptor; read to its end.
    ///   - size: what is left of it to read; nil where that is not known.
    ///   - sent: told the octets that have been sent, now and then.
    public func importImage(
        _ name: String, format: API.ImageFormat, sha256: String?, from file: Int32, size: Int64?,
        sent: @escaping (Int64) -> Void = { _ in }
    ) throws(ClientError) -> API.Image {
        let values = [("name", name), ("format", format.rawValue)] + (sha256.map { [("sha256", $0)] } ?? [])
        let query = values.map { "\($0.0)=\(Self.encoded($0.1))" }.joined(separator: "&")
        let upload = try ImageUpload(self, to: path("images") + "?" + query)
        let answer = try upload.send(from: file, size: size, sent: sent)
        guard answer.status == 201 else { throw refusal(answer) }
        return try value(API.Image.self, of: answer)
    }
}

/// One request with a body of any size, by libcurl: URLSession would hold a body that comes through a pipe as a whole.
private final class ImageUpload {
    private static let maximumAnswerBytes = 65_536
    /// What a read function answers to end the transfer.
    private static let abort = 0x1000_0000

    private let client: AdministrationClient
    private let handle: UnsafeMutableRawPointer
    private var file: Int32 = -1
    private var count: Int64 = 0
    private var sent: (Int64) -> Void = { _ in }
    private var answer: [UInt8] = []
    private var hasReadFailed = false

    init(_ client: AdministrationClient, to path: String) throws(ClientError) {
        self.client = client
        handle = try client.curlHandle(for: client.server + path)
    }

    deinit { curl_easy_cleanup(handle) }

    func send(
        from file: Int32, size: Int64?, sent: @escaping (Int64) -> Void
    ) throws(ClientError) -> Transport.Answer {
        self.file = file
        self.sent = sent
        var lines = ["Content-Type: application/octet-stream", "Accept: application/json", "Expect:"]
        if let token = client.token { lines.append("Authorization: Bearer \(token)") }
        // A body of unknown size goes in chunks.
        if size == nil { lines.append("Transfer-Encoding: chunked") }
        var list: UnsafeMutablePointer<curl_slist>?
        for line in lines { list = curl_slist_append(list, line) ?? list }
        defer { curl_slist_free_all(list) }
        let context = Unmanaged.passUnretained(self).toOpaque()
        ccurl_set_number(handle, CURLOPT_FOLLOWLOCATION, 0)
        // Slower than this for so long is silence; how long it takes in all depends on the image.
        ccurl_set_number(handle, CURLOPT_LOW_SPEED_LIMIT, 1)
        ccurl_set_number(handle, CURLOPT_LOW_SPEED_TIME, max(60, client.timeoutSeconds))
        ccurl_set_list(handle, CURLOPT_HTTPHEADER, list)
        ccurl_set_number(handle, CURLOPT_UPLOAD, 1)
        ccurl_set_text(handle, CURLOPT_CUSTOMREQUEST, "POST")
        if let size { ccurl_set_size(handle, CURLOPT_INFILESIZE_LARGE, curl_off_t(size)) }
        ccurl_set_function(handle, CURLOPT_READFUNCTION) { data, size, count, context in
            ImageUpload.of(context)?.give(data, size * count) ?? ImageUpload.abort
        }
        ccurl_set_pointer(handle, CURLOPT_READDATA, context)
        ccurl_set_function(handle, CURLOPT_WRITEFUNCTION) { data, size, count, context in
            ImageUpload.of(context)?.take(data, size * count) ?? 0
        }
        ccurl_set_pointer(handle, CURLOPT_WRITEDATA, context)
        let code = curl_easy_perform(handle)
        let status = ccurl_response_code(handle)
        // A server that refuses may stop reading: its answer counts, not that the rest could not be sent.
        guard code == CURLE_OK || code == CURLE_SEND_ERROR && status >= 400 else {
            if hasReadFailed {
                throw .unreachable(server: client.server, reason: "the file could not be read to its end")
            }
            if code == CURLE_OPERATION_TIMEDOUT {
                throw .timedOut(server: client.server, seconds: client.timeoutSeconds)
            }
            throw .unreachable(server: client.server, reason: String(cString: curl_easy_strerror(code)))
        }
        let type = status == 201 ? "application/json" : API.problemMediaType
        return Transport.Answer(status: status, headers: ["content-type": type], body: answer)
    }

    private static func of(_ context: UnsafeMutableRawPointer?) -> ImageUpload? {
        context.map { Unmanaged<ImageUpload>.fromOpaque($0).takeUnretainedValue() }
    }

    private func give(_ data: UnsafeMutablePointer<CChar>?, _ room: Int) -> Int {
        while true {
            let read = Glibc.read(file, data, room)
            if read < 0, errno == EINTR { continue }
            guard read >= 0 else {
                hasReadFailed = true
                return Self.abort
            }
            count += Int64(read)
            sent(count)
            return read
        }
    }

    private func take(_ data: UnsafeMutablePointer<CChar>?, _ size: Int) -> Int {
        guard let data, answer.count + size <= Self.maximumAnswerBytes else { return 0 }
        answer += UnsafeBufferPointer(start: data, count: size).map { UInt8(bitPattern: $0) }
        return size
    }
}
