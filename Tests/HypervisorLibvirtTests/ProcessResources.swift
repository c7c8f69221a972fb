import Foundation
import Glibc

/// What this process holds of the system.
struct ProcessResources {
    var descriptors: Int
    var threads: Int
    var residentKibibytes: Int

    static func now() -> ProcessResources {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")) ?? []
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let resident = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }?
            .split(separator: " ").compactMap { Int($0) }.first
        return ProcessResources(descriptors: files.count, threads: threads.count, residentKibibytes: resident ?? 0)
    }

    /// Ends this process's own connections to a host, as a fault between the two would. Returns how many.
    static func cutConnections(to host: String) -> Int {
        descriptors(of: host).count { shutdown($0, Int32(SHUT_RDWR)) == 0 }
    }

    /// How many connections this process has to a host.
    static func connections(to host: String) -> Int { descriptors(of: host).count }

    private static func descriptors(of host: String) -> [Int32] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        return names.compactMap { Int32($0) }.filter { descriptor in
            var peer = sockaddr_in()
            var size = socklen_t(MemoryLayout<sockaddr_in>.size)
            let status = withUnsafeMutablePointer(to: &peer) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(descriptor, $0, &size) }
            }
            return status == 0 && peer.sin_family == sa_family_t(AF_INET) && peer.sin_addr.s_addr == inet_addr(host)
        }
    }
}
