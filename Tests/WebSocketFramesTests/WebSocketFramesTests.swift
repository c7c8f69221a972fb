import Testing
import WebSocketFrames

struct WebSocketFramesTests {
    /// RFC 6455, section 5.7.
    @Test func theExamplesOfTheStandard() throws {
        let masked: [UInt8] = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]
        var server = WebSocketReader(side: .server, maximumFrameBytes: 100)
        for byte in masked {
            #expect(try server.next() == nil)
            server.append([byte])
        }
        #expect(try server.next() == .data(Array("Hello".utf8)))
        var client = WebSocketReader(side: .client, maximumFrameBytes: 100)
        client.append([0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f] as [UInt8])
        client.append([0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f] as [UInt8])
        #expect(try client.next() == .data(Array("Hel".utf8)))
        #expect(try client.next() == .data(Array("lo".utf8)))
        #expect(try client.next() == .ping(Array("Hello".utf8)))
        #expect(
            WebSocketMessage.pong(Array("Hello".utf8)).frame(mask: 0x37fa_213d)
                == [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58])
        #expect(WebSocketMessage.data([UInt8](repeating: 1, count: 256)).frame().prefix(4) == [0x82, 0x7e, 0x01, 0x00])
        #expect(
            WebSocketMessage.data([UInt8](repeating: 1, count: 65_536)).frame().prefix(10)
                == [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0])
        // Section 1.3.
        #expect(WebSocketHandshake.accept(ofKey: "dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    }

    @Test(arguments: [0, 1, 125, 126, 127, 65_535, 65_536, 70_000])
    func whatOneSideWritesTheOtherReads(length: Int) throws {
        let content = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        for (side, mask) in [(WebSocketSide.server, UInt32?.some(0x0102_ff04)), (.client, nil)] {
            var reader = WebSocketReader(side: side, maximumFrameBytes: 70_000)
            reader.append(WebSocketMessage.data(content).frame(mask: mask))
            reader.append(WebSocketMessage.close(code: 1_000, reason: "bye").frame(mask: mask))
            #expect(try reader.next() == .data(content))
            #expect(try reader.next() == .close(code: 1_000, reason: "bye"))
            #expect(try reader.next() == nil)
            #expect(reader.bufferedBytes == 0)
        }
    }

    @Test(
        arguments: [
            ([0x82, 0x01, 0x00], 1_002), ([0xc2, 0x80], 1_002), ([0x83, 0x80, 0, 0, 0, 0], 1_002),
            ([0x80, 0x80, 0, 0, 0, 0], 1_002),
            ([0x09, 0x80, 0, 0, 0, 0], 1_002), ([0x89, 0xfe, 0, 126], 1_002), ([0x82, 0xfe, 0, 5], 1_002),
            ([0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff], 1_002), ([0x88, 0x81, 0, 0, 0, 0, 1], 1_002),
            ([0x82, 0xfe, 0x03, 0xe9], 1_009), ([0x82, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0], 1_009),
        ] as [([UInt8], Int)])
    func whatIsNoWebSocketIsRefused(octets: [UInt8], code: Int) {
        var reader = WebSocketReader(side: .server, maximumFrameBytes: 1_000)
        reader.append(octets)
        let fault = #expect(throws: WebSocketFault.self) {
            while try reader.next() != nil {}
        }
        #expect(fault?.code == UInt16(code))
    }

    @Test func aMessageWithinAMessageIsRefused() throws {
        var reader = WebSocketReader(side: .client, maximumFrameBytes: 10)
        reader.append([0x02, 0x01, 0x41, 0x82, 0x01, 0x42] as [UInt8])
        #expect(try reader.next() == .data([0x41]))
        #expect(throws: WebSocketFault(code: 1_002, reason: "a message begins within another one")) {
            try reader.next()
        }
    }

    @Test func aLongReasonIsCutBetweenCharacters() throws {
        var reader = WebSocketReader(side: .client, maximumFrameBytes: 125)
        reader.append(WebSocketMessage.close(code: 1_001, reason: String(repeating: "走", count: 60)).frame())
        #expect(try reader.next() == .close(code: 1_001, reason: String(repeating: "走", count: 41)))
    }

    @Test func keysHaveSixteenOctets() {
        var random = SystemRandomNumberGenerator()
        #expect(WebSocketHandshake.isKey(WebSocketHandshake.key(using: &random)))
        for text in ["", "c2hvcnQ=", "dGhlIHNhbXBsZSBub25jZQ=!", "dGhlIHNhbXBsZSBub25jZSBsb25nZXI="] {
            #expect(!WebSocketHandshake.isKey(text), "\(text)")
        }
    }
}
