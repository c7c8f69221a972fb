import CloudModel
import FencingPrograms
import Testing

@Suite struct FencingProgramTests {
    @Test("a program that ends with 0 has fenced the host that it was given")
    func succeeds() async {
        let failure = await FencingProgram().fence("host-1", command: ["/usr/bin/test", "{host}", "=", "host-1"])
        #expect(failure == nil)
    }

    @Test("a program that ends otherwise has not, and its code is said")
    func fails() async {
        let failure = await FencingProgram().fence("host-2", command: ["/usr/bin/test", "{host}", "=", "host-1"])
        #expect(failure == "/usr/bin/test ended with 1")
    }

    @Test("a program that is not there has not")
    func isMissing() async throws {
        let failure = try #require(await FencingProgram().fence("host-1", command: ["/nowhere/fence"]))
        #expect(failure.hasPrefix("/nowhere/fence cannot be run"))
    }

    @Test("a program that does not end is ended, and has not")
    func hangs() async {
        let failure = await FencingProgram(timeout: .milliseconds(100)).fence("host-1", command: ["/bin/sleep", "60"])
        #expect(failure == "/bin/sleep did not end within 100ms")
    }
}
