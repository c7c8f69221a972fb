import AdministrationAPI
import AdministrationClient
import Foundation
import Testing

@Suite struct ServerSentEventTests {
    private func messages(_ text: String, pieces: Int) -> [ServerSentEventParser.Message] {
        var parser = ServerSentEventParser()
        let bytes = Array(text.utf8)
        return stride(from: 0, to: bytes.count, by: pieces).flatMap { start in
            parser.feed(bytes[start..<min(start + pieces, bytes.count)])
        }
    }

    private func message(_ id: String?, _ event: String?, _ data: String) -> ServerSentEventParser.Message {
        ServerSentEventParser.Message(id: id, event: event, data: data)
    }

    @Test("a stream means the same in pieces of any size", arguments: [1, 2, 3, 7, 1_000])
    func pieces(size: Int) {
        let text =
            "retry: 2000\n\nid: 1\nevent: a\ndata: {\"x\":\ndata:1}\n\n: comment\r\nid: 2\r\n\r\nid: 3\rdata: é\r\r"
        #expect(
            messages(text, pieces: size) == [
                message("1", "a", "{\"x\":\n1}"), message("2", nil, ""), message("3", nil, "é"),
            ])
    }

    @Test("an unfinished message is not given")
    func unfinished() { #expect(messages("id: 1\ndata: x\n", pieces: 1_000).isEmpty) }
}

@Suite struct AdministrationClientTests {
    @Test(
        "an address that is none is refused", arguments: ["", "localhost:8081", "ftp://host", "http://", "not a url"])
    func badAddress(address: String) {
        #expect(throws: ClientError.badAddress(address)) {
            try AdministrationClient(server: address, token: nil)
        }
    }

    @Test("slashes at the end of an address do not matter")
    func slashes() throws {
        #expect(try AdministrationClient(server: "http://host:1//", token: nil).server == "http://host:1")
    }

    @Test("a server that is not there is told as such, with what to do")
    func refused() async throws {
        // Port 1 of this machine: nobody may listen there but root, and nobody does.
        let client = try AdministrationClient(server: "http://127.0.0.1:1", token: nil, timeoutSeconds: 5)
        let error = await #expect(throws: ClientError.self) { try await client.health() }
        #expect("\(error!)".contains("cloudwright serve") && "\(error!)".contains("CLOUDWRIGHT_SERVER"))
    }

    @Test("faults are listed once, with their places")
    func description() {
        let problem = API.Problem(
            type: "t", title: "t", status: 400, detail: "The query: 'a' is not known.",
            faults: [API.Fault(detail: "'a' is not known"), API.Fault(detail: "too small", pointer: "/value")])
        #expect("\(ClientError.refused(problem))" == "The query: 'a' is not known.\n- /value: too small")
    }
}
