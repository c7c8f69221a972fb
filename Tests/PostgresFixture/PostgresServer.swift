import Foundation
import Glibc

/// A PostgreSQL server of the tests' own: in a temporary directory, reached over a Unix socket alone, and gone with
/// this process, however that ends.
///
/// The server refuses to run as root; then it runs as the user `postgres`, whom Debian's package makes.
public final class PostgresServer: Sendable {
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    /// Holds the data and the socket.
    public let directory: String
    /// Several servers on one machine have different ones; no network port is opened.
    public let port: Int
    private let settings: [String]

    /// Why no server can be had here; nil where it can.
    public static let obstacle: String? = {
        guard binaries != nil else {
            return "PostgreSQL is not installed: run scripts/install-prerequisites (packages postgresql, libpq-dev)"
        }
        guard getuid() != 0 || getpwnam(unprivileged) != nil else {
            return "PostgreSQL does not run as root, and there is no user '\(unprivileged)'"
        }
        return nil
    }()

    public static var isAvailable: Bool { obstacle == nil }

    private static let unprivileged = "postgres"

    /// The newest version that is installed: on the PATH, or where Debian has it.
    private static let binaries: String? = {
        let debian = "/usr/lib/postgresql"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: debian)) ?? []
        let paths = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
        let newestFirst = versions.sorted { (Int($0) ?? 0) > (Int($1) ?? 0) }
        return (paths + newestFirst.map { "\(debian)/\($0)/bin" }).first { path in
            ["initdb", "postgres", "psql", "pg_basebackup"].allSatisfy {
                FileManager.default.isExecutableFile(atPath: "\(path)/\($0)")
            }
        }
    }()

    private init(directory: String, port: Int, settings: [String]) {
        self.directory = directory
        self.port = port
        self.settings = settings
    }

    /// Makes a server; it does not run yet. `settings`: lines of postgresql.conf.
    public static func make(settings: [String] = [], port: Int = 5_432) async throws -> PostgresServer {
        let server = PostgresServer(directory: try makeDirectory(), port: port, settings: settings)
        try await server.asOwner(
            "initdb", ["--pgdata=\(server.data)", "--auth=trust", "--username=books", "--encoding=UTF8", "--no-locale"])
        try server.configure()
        return server
    }

    /// A replica of this server, which must run, ready to be started.
    public func makeReplica(named name: String, settings: [String] = []) async throws -> PostgresServer {
        let replica = PostgresServer(
            directory: try Self.makeDirectory(), port: port, settings: self.settings + settings)
        try await replica.asOwner(
            "pg_basebackup",
            [
                "--pgdata=\(replica.data)", "--host=\(directory)", "--port=\(port)", "--username=books",
                "--write-recovery-conf", "--checkpoint=fast",
            ])
        let source = "host=\(directory) port=\(port) user=books application_name=\(name)"
        try replica.configure(["primary_conninfo = '\(source)'"])
        return replica
    }

    private var data: String { directory + "/data" }

    /// How programs reach a database of it.
    public func connectionString(database: String = "postgres") -> String {
        "host=\(directory) port=\(port) user=books dbname=\(database)"
    }

    /// Makes a database of its own and gives back how it is reached.
    public func makeDatabase() async throws -> String {
        let name = "d" + UUID().uuidString.lowercased().filter { $0 != "-" }
        try await sql("CREATE DATABASE \(name)")
        return connectionString(database: name)
    }

    /// What `psql` prints for a statement, a row a line, columns apart by `|`.
    @discardableResult
    public func sql(_ statement: String, database: String = "postgres") async throws -> String {
        try await asOwner(
            "psql",
            [
                "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1",
                "--dbname=\(connectionString(database: database))", "--command=\(statement)",
            ])
    }

    // MARK: Running

    /// Ends as its input does, which the kernel closes with this process; then nothing is left of the server.
    private static let keeper = """
        "$1/postgres" -D "$2/data" >>"$2/log" 2>&1 &
        server=$!
        while kill -0 $server 2>/dev/null; do
            if read -r -t 1 order; then case $order in
                fast) kill -INT $server; wait $server; echo stopped; exit 0 ;;
                immediate) kill -QUIT $server; wait $server; echo stopped; exit 0 ;;
            esac
            elif [ $? -le 128 ]; then kill -QUIT $server; wait $server; rm -rf "$2"; exit 0; fi
        done
        echo stopped
        """

    private let running = Running()

    private final class Running: @unchecked Sendable {
        private let lock = NSLock()
        private var process: Process?
        private var input: FileHandle?
        private var output: FileHandle?

        func set(_ process: Process, _ input: FileHandle, _ output: FileHandle) {
            lock.withLock { (self.process, self.input, self.output) = (process, input, output) }
        }

        func take() -> (Process, FileHandle, FileHandle)? {
            lock.withLock {
                guard let process, let input, let output else { return nil }
                (self.process, self.input, self.output) = (nil, nil, nil)
                return (process, input, output)
            }
        }
    }

    /// Returns once the server takes connections.
    public func start() async throws {
        guard let binaries = Self.binaries else { throw Failure(description: Self.obstacle ?? "") }
        let process = Process()
        let (input, output) = (Self.pipe(), Self.pipe())
        Self.prepare(process, "/bin/bash", ["-c", Self.keeper, "keeper", binaries, directory])
        process.standardInput = input
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try Self.run(process)
        running.set(process, input.fileHandleForWriting, output.fileHandleForReading)
        let deadline = Date(timeIntervalSinceNow: 60)
        while true {
            do {
                try await sql("SELECT 1")
                return
            } catch {
                guard Date() < deadline, process.isRunning else {
                    let log = FileManager.default.contents(atPath: directory + "/log") ?? Data()
                    throw Failure(description: "the server does not start: \(String(decoding: log, as: UTF8.self))")
                }
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    /// `immediate`: as if it had crashed.
    public func stop(immediate: Bool = false) async {
        guard let (process, input, output) = running.take() else { return }
        try? input.write(contentsOf: Data((immediate ? "immediate\n" : "fast\n").utf8))
        // "stopped", or the end of a keeper that is gone.
        var answer = Data()
        repeat {
            let part = output.availableData
            answer += part
            if part.isEmpty { break }
        } while !answer.contains(UInt8(ascii: "\n"))
        process.waitUntilExit()
    }

    /// Ends the server by SIGKILL, which it cannot see coming; it can be started again.
    public func kill() throws {
        let file = try String(contentsOfFile: data + "/postmaster.pid", encoding: .utf8)
        guard let process = file.split(separator: "\n").first.flatMap({ Int32($0) }), Glibc.kill(process, SIGKILL) == 0
        else { throw Failure(description: "the server cannot be killed: \(String(cString: strerror(errno)))") }
        // The keeper sees it, and ends.
        running.take()?.0.waitUntilExit()
    }

    /// Stops the server and removes what it was.
    public func remove() async {
        await stop(immediate: true)
        _ = try? FileManager.default.removeItem(atPath: directory)
    }

    public func promote() async throws { try await sql("SELECT pg_promote(true, 60)") }

    deinit {
        guard let (process, input, _) = running.take() else { return }
        try? input.close()
        process.waitUntilExit()
    }

    // MARK: Children

    private static let spawning = NSLock()

    /// Its ends are for this process alone and for the child that is given one: another child that had them as well,
    /// such as another server's keeper, would keep the pipe open for as long as it lives.
    private static func pipe() -> Pipe {
        spawning.withLock {
            let pipe = Pipe()
            for end in [pipe.fileHandleForReading, pipe.fileHandleForWriting] {
                _ = fcntl(end.fileDescriptor, F_SETFD, FD_CLOEXEC)
            }
            return pipe
        }
    }

    private static func run(_ process: Process) throws { try spawning.withLock { try process.run() } }

    // MARK: Directories and users

    private static func makeDirectory() throws -> String {
        // The socket's path must be short (107 bytes), and the server's user must reach it.
        var template = Array((FileManager.default.temporaryDirectory.path + "/pg-XXXXXX").utf8CString)
        guard let made = mkdtemp(&template) else { throw Failure(description: "no temporary directory can be made") }
        let path = String(cString: made)
        if getuid() == 0, let user = getpwnam(unprivileged) { chown(path, user.pointee.pw_uid, user.pointee.pw_gid) }
        return path
    }

    private func configure(_ more: [String] = []) throws {
        let lines =
            [
                "", "listen_addresses = ''", "unix_socket_directories = '\(directory)'", "port = \(port)",
                "max_connections = 60", "shared_buffers = 32MB",
            ] + settings + more
        let file = data + "/postgresql.auto.conf"
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: file))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data((lines.joined(separator: "\n") + "\n").utf8))
        try handle.close()
    }

    private static func prepare(_ process: Process, _ program: String, _ arguments: [String]) {
        if getuid() == 0 {
            process.executableURL = URL(fileURLWithPath: "/usr/bin/setpriv")
            process.arguments =
                ["--reuid=\(unprivileged)", "--regid=\(unprivileged)", "--clear-groups", program] + arguments
        } else {
            process.executableURL = URL(fileURLWithPath: program)
            process.arguments = arguments
        }
        process.currentDirectoryURL = URL(fileURLWithPath: "/")
        process.environment = ["PATH": "/usr/bin:/bin", "LC_ALL": "C"]
    }

    @discardableResult
    private func asOwner(_ program: String, _ arguments: [String]) async throws -> String {
        guard let binaries = Self.binaries else { throw Failure(description: Self.obstacle ?? "") }
        let process = Process()
        Self.prepare(process, "\(binaries)/\(program)", arguments)
        let (output, errors) = (Self.pipe(), Self.pipe())
        process.standardOutput = output
        process.standardError = errors
        process.standardInput = FileHandle.nullDevice
        try Self.run(process)
        let reading = Task.detached { errors.fileHandleForReading.readDataToEndOfFile() }
        let printed = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        let complaint = String(decoding: await reading.value, as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(description: "\(program) failed: \(complaint)")
        }
        return printed.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

/// One server for all tests of a process that need no more than a database of their own.
public enum SharedPostgres {
    private static let server = Task {
        // Tests run side by side, each with a database of its own and five connections to it.
        let server = try await PostgresServer.make(settings: ["max_connections = 500"])
        try await server.start()
        return server
    }

    /// An empty database: how it is reached.
    public static func database() async throws -> String { try await server.value.makeDatabase() }

    public static func running() async throws -> PostgresServer { try await server.value }
}
