import Glibc

/// What this process uses, as the kernel counts it (proc(5)).
struct ProcessStatistics {
    var residentBytes: Int64
    var virtualBytes: Int64
    var processorSeconds: Double
    var threads: Int
    var openFiles: Int
    /// Since 1970.
    var startSeconds: Double

    /// Nil where the kernel does not tell.
    static func current() -> ProcessStatistics? {
        guard let stat = contents(of: "/proc/self/stat"), let boot = bootTime(),
            let end = stat.lastIndex(of: ")")
        else { return nil }
        // The fields after the program's name, which may have spaces; the first is field 3 of proc(5).
        let fields = stat[end...].dropFirst(2).split(separator: " ")
        func field(_ number: Int) -> Int64? { number - 3 < fields.count ? Int64(fields[number - 3]) : nil }
        guard let user = field(14), let system = field(15), let threads = field(20), let start = field(22),
            let virtual = field(23), let resident = field(24)
        else { return nil }
        let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
        return ProcessStatistics(
            residentBytes: resident * Int64(sysconf(Int32(_SC_PAGESIZE))), virtualBytes: virtual,
            processorSeconds: Double(user + system) / ticks, threads: Int(threads), openFiles: openFileCount(),
            startSeconds: boot + Double(start) / ticks)
    }

    func add(to metrics: inout Metrics) {
        metrics.add(
            "process_resident_memory_bytes", .gauge, "Memory that the process has in RAM.", Double(residentBytes))
        metrics.add("process_virtual_memory_bytes", .gauge, "Address space of the process.", Double(virtualBytes))
        metrics.add("process_cpu_seconds_total", .counter, "Processor time of the process.", processorSeconds)
        metrics.add("process_threads", .gauge, "Threads of the process.", Double(threads))
        metrics.add("process_open_fds", .gauge, "Open file descriptors of the process.", Double(openFiles))
        metrics.add("process_start_time_seconds", .gauge, "When the process started, since 1970.", startSeconds)
    }

    private static func bootTime() -> Double? {
        contents(of: "/proc/stat")?.split(separator: "\n").first { $0.hasPrefix("btime ") }
            .flatMap { Double($0.dropFirst(6)) }
    }

    private static func openFileCount() -> Int {
        guard let directory = opendir("/proc/self/fd") else { return 0 }
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        // `.`, `..` and the descriptor that reads the directory.
        return max(0, count - 3)
    }

    private static func contents(of path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while bytes.count < 1 << 20 {
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
