import CCurl
import CloudModel
import CloudPorts
import Foundation

/// One transfer by libcurl, on the calling thread.
struct Transfer {
    /// How it went: the status (HTTP) or the last reply (SMTP) and, for people, what the other side said.
    struct Outcome {
        var code: CURLcode
        var status: Int
        /// libcurl's own words; empty where it succeeded.
        var failure: String
        /// The beginning of the answer.
        var answer: String
        /// The last replies of an SMTP server.
        var replies: [String]
    }

    /// More of an answer is not kept; more than `longestAnswer` ends the transfer.
    fileprivate static let keptAnswer = 512
    fileprivate static let longestAnswer = 64 * 1_024
    fileprivate static let keptReplies = 32
    private static let startUp: CURLcode = curl_global_init(Int(CURL_GLOBAL_DEFAULT))

    /// What the callbacks of one transfer fill and read.
    fileprivate final class Exchange {
        var answer: [UInt8] = []
        var answerSize = 0
        var replies: [String] = []
        var upload: [UInt8]
        var uploaded = 0

        init(upload: [UInt8]) { self.upload = upload }
    }

    private let handle: UnsafeMutableRawPointer
    private let exchange: Exchange
    private var lists: [UnsafeMutablePointer<curl_slist>] = []

    /// Close it with `close`. `upload` is what the server is sent after libcurl asks for it (the mail).
    init(upload: Data = Data()) throws(DeliveryError) {
        guard Self.startUp == CURLE_OK, let handle = curl_easy_init() else {
            throw DeliveryError(permanent: false, message: "libcurl cannot be used: out of memory")
        }
        self.handle = handle
        exchange = Exchange(upload: Array(upload))
        let context = Unmanaged.passUnretained(exchange).toOpaque()
        // Signals would interrupt other threads.
        ccurl_set_number(handle, CURLOPT_NOSIGNAL, 1)
        ccurl_set_number(handle, CURLOPT_FOLLOWLOCATION, 0)
        ccurl_set_function(handle, CURLOPT_WRITEFUNCTION) { data, size, count, context in
            Self.exchange(context).take(data, size * count)
        }
        ccurl_set_pointer(handle, CURLOPT_WRITEDATA, context)
        ccurl_set_function(handle, CURLOPT_HEADERFUNCTION) { data, size, count, context in
            Self.exchange(context).note(data, size * count)
        }
        ccurl_set_pointer(handle, CURLOPT_HEADERDATA, context)
        ccurl_set_function(handle, CURLOPT_READFUNCTION) { data, size, count, context in
            Self.exchange(context).give(data, size * count)
        }
        ccurl_set_pointer(handle, CURLOPT_READDATA, context)
    }

    private static func exchange(_ context: UnsafeMutableRawPointer?) -> Exchange {
        Unmanaged<Exchange>.fromOpaque(context!).takeUnretainedValue()
    }

    func set(_ option: CURLoption, _ text: String) { ccurl_set_text(handle, option, text) }
    func set(_ option: CURLoption, _ number: Int) { ccurl_set_number(handle, option, number) }
    func set(_ option: CURLoption, _ bytes: UnsafeRawBufferPointer) {
        ccurl_set_size(handle, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(bytes.count))
        ccurl_set_pointer(handle, option, UnsafeMutableRawPointer(mutating: bytes.baseAddress))
    }

    mutating func set(_ option: CURLoption, lines: [String]) {
        var list: UnsafeMutablePointer<curl_slist>?
        for line in lines { list = curl_slist_append(list, line) ?? list }
        guard let list else { return }
        lists.append(list)
        ccurl_set_list(handle, option, list)
    }

    func allowHTTP() { ccurl_allow_protocols(handle, "http,https", ccurl_protocols_http) }
    func allowSMTP() { ccurl_allow_protocols(handle, "smtp,smtps", ccurl_protocols_smtp) }

    func perform(connectTimeout: TimeSpan, timeout: TimeSpan) -> Outcome {
        set(CURLOPT_CONNECTTIMEOUT_MS, Int(connectTimeout.millisecondsRoundedUp))
        set(CURLOPT_TIMEOUT_MS, Int(timeout.millisecondsRoundedUp))
        var words = [CChar](repeating: 0, count: Int(CURL_ERROR_SIZE))
        let code = words.withUnsafeMutableBufferPointer { buffer in
            ccurl_set_pointer(handle, CURLOPT_ERRORBUFFER, buffer.baseAddress)
            defer { ccurl_set_pointer(handle, CURLOPT_ERRORBUFFER, nil) }
            return curl_easy_perform(handle)
        }
        var failure = ""
        if code != CURLE_OK {
            failure = String(decoding: words.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            if failure.isEmpty { failure = String(cString: curl_easy_strerror(code)) }
        }
        return Outcome(
            code: code, status: ccurl_response_code(handle), failure: failure,
            answer: MailText.oneLine(String(decoding: exchange.answer, as: UTF8.self)), replies: exchange.replies)
    }

    func close() {
        curl_easy_cleanup(handle)
        for list in lists { curl_slist_free_all(list) }
    }
}

extension Transfer.Exchange {
    /// Fewer bytes than were offered end the transfer.
    fileprivate func take(_ data: UnsafeMutablePointer<CChar>?, _ count: Int) -> Int {
        answerSize += count
        let wanted = max(0, min(count, Transfer.keptAnswer - answer.count))
        answer.append(contentsOf: UnsafeRawBufferPointer(start: data, count: wanted))
        return answerSize > Transfer.longestAnswer ? 0 : count
    }

    fileprivate func note(_ data: UnsafeMutablePointer<CChar>?, _ count: Int) -> Int {
        let line = String(decoding: UnsafeRawBufferPointer(start: data, count: min(count, 256)), as: UTF8.self)
        if replies.count == Transfer.keptReplies { replies.removeFirst() }
        replies.append(MailText.oneLine(line))
        return count
    }

    fileprivate func give(_ data: UnsafeMutablePointer<CChar>?, _ room: Int) -> Int {
        let count = min(room, upload.count - uploaded)
        guard count > 0, let data else { return 0 }
        upload.withUnsafeBytes { bytes in
            data.withMemoryRebound(to: UInt8.self, capacity: count) { target in
                for index in 0..<count { target[index] = bytes[uploaded + index] }
            }
        }
        uploaded += count
        return count
    }
}
