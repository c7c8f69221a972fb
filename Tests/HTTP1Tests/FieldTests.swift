import HTTP1
import Testing

@Suite struct FieldTests {
    static let names: [(FieldName, String)] = [
        (.host, "Host"), (.contentLength, "Content-Length"), (.transferEncoding, "Transfer-Encoding"),
        (.connection, "Connection"), (.expect, "Expect"), (.upgrade, "Upgrade"), (.te, "TE"), (.trailer, "Trailer"),
        (.keepAlive, "Keep-Alive"), (.proxyConnection, "Proxy-Connection"),
        (.proxyAuthorization, "Proxy-Authorization"), (.proxyAuthenticate, "Proxy-Authenticate"),
        (.http2Settings, "HTTP2-Settings"), (.authorization, "Authorization"), (.xAPIKey, "X-API-Key"),
        (.prefer, "Prefer"), (.contentType, "Content-Type"), (.contentEncoding, "Content-Encoding"),
        (.xForwardedFor, "X-Forwarded-For"), (.xForwardedProto, "X-Forwarded-Proto"),
        (.xForwardedHost, "X-Forwarded-Host"), (.xForwardedPort, "X-Forwarded-Port"), (.forwarded, "Forwarded"),
        (.via, "Via"), (.xRealIP, "X-Real-IP"), (.xRequestID, "X-Request-ID"), (.userAgent, "User-Agent"),
        (.accept, "Accept"), (.acceptEncoding, "Accept-Encoding"), (.acceptLanguage, "Accept-Language"),
        (.cookie, "Cookie"), (.referer, "Referer"), (.origin, "Origin"), (.cacheControl, "Cache-Control"),
        (.range, "Range"), (.pragma, "Pragma"), (.ifNoneMatch, "If-None-Match"),
        (.ifModifiedSince, "If-Modified-Since"), (.traceparent, "Traceparent"), (.tracestate, "Tracestate"),
        (.date, "Date"), (.server, "Server"),
        (.eTag, "ETag"), (.lastModified, "Last-Modified"), (.vary, "Vary"), (.location, "Location"),
        (.setCookie, "Set-Cookie"), (.age, "Age"), (.retryAfter, "Retry-After"),
    ]

    @Test("every known name is recognised in any case, and nothing near it is")
    func recognition() throws {
        #expect(Set(Self.names.map(\.0)).count == FieldName.allCases.count - 2)
        for (known, name) in Self.names {
            for spelling in [name, name.lowercased(), name.uppercased()] {
                #expect(try recognise(spelling) == known, "\(spelling)")
            }
            for near in [name + "x", "x" + name, String(name.dropLast()) + "!", "!" + name.dropFirst()] {
                #expect(try recognise(near) == .other, "\(near)")
            }
            // A hyphen and a carriage return differ in one bit, as do `@` and a grave accent.
            var octets = Array("HTTP/1.1 200 OK\r\n\(name): 1\r\n\r\n".utf8)
            if let hyphen = octets.firstIndex(of: UInt8(ascii: "-")) {
                octets[hyphen] = 0x0D
                #expect(parseResponse(octets).fault == .missingColon, "\(name)")
            }
        }
    }

    private func recognise(_ name: String) throws -> FieldName {
        let value = name.lowercased() == "transfer-encoding" ? "chunked" : "1"
        let parsed = try #require(parseResponse("HTTP/1.1 200 OK\r\n\(name): \(value)\r\n\r\n").message, "\(name)")
        return parsed.fields[0].known
    }

    @Test(
        "names that servers could hold for the gateway's own",
        arguments: [
            "X_Forwarded_For", "x-forwarded_for", "X_FORWARDED_PROTO", "x_api_key", "Content_Length",
            "transfer_encoding",
            "x_request_id", "X_Real_IP",
        ])
    func disguised(name: String) throws {
        let parsed = try #require(parseRequest(request("\(name): 1", "my_field: 2")).message)
        #expect(parsed.fields.map(\.known) == [.host, .disguised, .other])
    }

    @Test("token characters are those of RFC 9110, host characters the unreserved ones of RFC 3986")
    func characterSets() {
        let letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
        let token = Set(("!#$%&'*+-.^_`|~" + letters).utf8)
        let host = Set(("-._~" + letters).utf8)
        let address = Set("0123456789abcdefABCDEF:.".utf8)
        for octet in UInt8.min...UInt8.max {
            #expect(OctetSet.token.contains(octet) == token.contains(octet))
            #expect(OctetSet.hostName.contains(octet) == host.contains(octet))
            #expect(OctetSet.addressLiteral.contains(octet) == address.contains(octet))
        }
    }

    @Test("values end at the right octet, whatever their length and place")
    func valueScan() throws {
        for length in 0...40 {
            let value = String((0..<length).map { Character(UnicodeScalar(UInt8(33 + $0 % 90))) })
            for (mark, isFault) in [
                ("\u{1}", true), ("\u{1f}", true), ("\u{7f}", true), ("\u{80}", false), (" ", false),
            ] {
                for place in 0...length {
                    var marked = value
                    marked.insert(contentsOf: mark, at: marked.index(marked.startIndex, offsetBy: place))
                    let result = parseRequest(request("x: \(marked)"))
                    #expect((result.fault == .controlInValue) == isFault, "\(mark.debugDescription) at \(place)")
                    if let parsed = result.message {
                        #expect(parsed.fields[1].value == marked.trimmed())
                    }
                }
            }
        }
    }

    @Test("fields are found by name")
    func lookUp() {
        let text = request("X-Custom: one", "x-custom: two", "Prefer: wait=5")
        withExactMemory(Array(text.utf8)) { buffer in
            var head = RequestHead()
            #expect(head.parse(buffer) == .complete(length: buffer.count))
            #expect(head.fields.firstValue(.prefer)?.string(in: buffer) == "wait=5")
            #expect(head.fields.firstValue(.cookie) == nil)
            #expect(head.fields.contains(.host) && !head.fields.contains(.cookie))
            #expect(head.fields.firstValue(named: "x-custom", in: buffer)?.string(in: buffer) == "one")
            #expect(head.fields.firstValue(named: "x-absent", in: buffer) == nil)
            let name = Array("x-custom".utf8)
            let found = name.withUnsafeBytes { head.fields.firstValue(named: $0, in: buffer) }
            #expect(found?.string(in: buffer) == "one")
        }
        let twice = parseRequest(request("X-API-Key: a", "X-API-Key: b"))
        #expect(twice.message?.fields.filter { $0.known == .xAPIKey }.count == 2)
    }
}

extension String {
    /// Without spaces and tabs at both ends.
    fileprivate func trimmed() -> String {
        var text = self[...]
        while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return String(text)
    }
}
