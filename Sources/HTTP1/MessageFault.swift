/// Why a message is refused. After any of these the connection is closed once the answer is sent: where the next
/// message would begin is not certain, and guessing is how requests are smuggled.
public enum MessageFault: UInt8, Hashable, Sendable, CaseIterable, Error {
    case invalidRequestLine, invalidMethod, invalidTarget, requestLineTooLong
    case unsupportedVersion, connectNotSupported
    case invalidStatusLine
    case headTooLarge, tooManyFields
    case bareLineFeed, bareCarriageReturn, controlInValue
    case lineFolding, missingColon, emptyFieldName, invalidFieldName, whitespaceBeforeColon
    case missingHost, repeatedHost, invalidHost
    case invalidContentLength, conflictingContentLength, contentLengthTooLarge
    case invalidTransferEncoding, chunkedNotLast, unsupportedTransferCoding
    case transferEncodingWithContentLength, transferEncodingInHTTP10
    case invalidConnection, tooManyConnectionOptions
    case unknownExpectation
    case invalidChunkSize, chunkSizeTooLarge, invalidChunkExtension, chunkExtensionsTooLong
    case missingChunkLineEnd, trailersTooLarge, forbiddenTrailer

    /// The status to answer a client with. A malformed response of an upstream server is a 502 whatever the fault.
    public var status: Int {
        switch self {
        case .requestLineTooLong: 414
        case .unknownExpectation: 417
        case .headTooLarge, .tooManyFields, .trailersTooLarge: 431
        case .contentLengthTooLarge, .chunkSizeTooLarge: 413
        case .unsupportedTransferCoding, .connectNotSupported: 501
        case .unsupportedVersion: 505
        default: 400
        }
    }

    /// One sentence for the person on the other side.
    public var explanation: StaticString {
        switch self {
        case .invalidRequestLine: "The request line is not `method SP target SP HTTP/1.1 CRLF`."
        case .invalidMethod: "The method is not a token of at most 32 characters."
        case .invalidTarget: "The request target has a character or a form that is not allowed."
        case .requestLineTooLong: "The request line is longer than this gateway accepts."
        case .unsupportedVersion: "Only HTTP/1.0 and HTTP/1.1 are served on this connection."
        case .connectNotSupported: "CONNECT is not served here."
        case .invalidStatusLine: "The status line is not `HTTP/1.1 SP code SP reason CRLF`."
        case .headTooLarge: "The header section is longer than this gateway accepts."
        case .tooManyFields: "There are more header fields than this gateway accepts."
        case .bareLineFeed: "A line ends with a line feed alone instead of CRLF."
        case .bareCarriageReturn: "A carriage return is not followed by a line feed."
        case .controlInValue: "A line has a control character."
        case .lineFolding: "A line begins with white space (obsolete line folding)."
        case .missingColon: "A header line has no colon."
        case .emptyFieldName: "A header line has no name before its colon."
        case .invalidFieldName: "A header name has a character that is not allowed."
        case .whitespaceBeforeColon: "A header name is followed by white space before its colon."
        case .missingHost: "The Host field is missing."
        case .repeatedHost: "There is more than one Host field."
        case .invalidHost: "The host is not a name or address with an optional port."
        case .invalidContentLength: "Content-Length is not a decimal number."
        case .conflictingContentLength: "There are different Content-Length values."
        case .contentLengthTooLarge: "Content-Length is larger than can be counted."
        case .invalidTransferEncoding: "Transfer-Encoding is not a list of codings."
        case .chunkedNotLast: "The last transfer coding is not a single chunked."
        case .unsupportedTransferCoding: "Only the transfer coding chunked is supported."
        case .transferEncodingWithContentLength: "Transfer-Encoding and Content-Length must not come together."
        case .transferEncodingInHTTP10: "HTTP/1.0 has no Transfer-Encoding."
        case .invalidConnection: "Connection is not a list of tokens."
        case .tooManyConnectionOptions: "Connection lists more options than this gateway accepts."
        case .unknownExpectation: "The only expectation served is 100-continue."
        case .invalidChunkSize: "A chunk size is not a hexadecimal number."
        case .chunkSizeTooLarge: "A chunk is larger than can be counted."
        case .invalidChunkExtension: "A chunk extension is not `;name=value`."
        case .chunkExtensionsTooLong: "The chunk extensions are longer than this gateway accepts."
        case .missingChunkLineEnd: "A chunk or its size line does not end with CRLF."
        case .trailersTooLarge: "The trailer section is longer than this gateway accepts."
        case .forbiddenTrailer: "The trailer section has a field that is not allowed there."
        }
    }
}
