package import CloudModel

/// Which service a request is for: compiled from a snapshot's routes, immutable, shared by all loops.
///
/// Among the routes whose host and path prefix match, one with an exact host wins over a wildcard, a longer wildcard
/// over a shorter, a wildcard over a route for every host; then the longest path prefix wins. Hosts are compared
/// without case, port, or the dot of an absolute name; paths in their `NormalPath`, on whole segments.
///
/// A lookup allocates nothing and touches no reference count: it walks a trie whose edges (hosts, then path segments)
/// are in one open-addressed hash table, so that its cost is the length of what it reads, whatever the number of
/// routes.
package final class RouteTable: @unchecked Sendable {
    /// No service has the request's host and path.
    package static let noService = -1

    private let edges: UnsafeMutableBufferPointer<Edge>
    /// By node: the service whose route ends there, or `noService`.
    private let services: UnsafeMutableBufferPointer<Int32>
    private let labels: UnsafeMutableBufferPointer<UInt8>
    private let hasWildcards: Bool

    /// `routes[i]` are the routes of the service with index `i`. Of two equal routes the first service's counts; a
    /// route whose path no request can match is left out (the configuration's check refuses both before).
    package init(routes: [[Route]]) {
        var builder = Builder()
        for (service, routes) in routes.enumerated() {
            for route in routes { builder.add(route, service: Int32(service)) }
        }
        services = .allocate(capacity: builder.services.count)
        _ = services.initialize(fromContentsOf: builder.services)
        labels = .allocate(capacity: max(builder.labels.count, 1))
        labels.initialize(repeating: 0)
        for (index, byte) in builder.labels.enumerated() { labels[index] = byte }
        var capacity = 8
        while capacity < builder.edges.count * 2 { capacity *= 2 }
        edges = .allocate(capacity: capacity)
        edges.initialize(repeating: Edge.empty)
        for edge in builder.edges {
            var slot = Int(edge.hash) & (capacity - 1)
            while edges[slot].parent != Edge.empty.parent { slot = (slot + 1) & (capacity - 1) }
            edges[slot] = edge
        }
        hasWildcards = builder.hasWildcards
    }

    deinit {
        edges.deallocate()
        services.deallocate()
        labels.deallocate()
    }

    /// The index of the service, or `noService`. `host` is the value of the Host field or the target's authority, with
    /// or without port, empty where there is none; `path` must be a `NormalPath`.
    package func service(host: UnsafeRawBufferPointer, path: UnsafeRawBufferPointer) -> Int {
        let name = Self.hostName(host)
        var found = Self.noService
        if name.count > 0 && name.count <= Self.longestHost {
            found = service(named: name, path: path)
        }
        if found == Self.noService { found = service(under: Node.anyHost, path: path) }
        return found
    }

    /// Walks the host from its end, because every suffix's hash is then the one before and one byte more.
    private func service(named name: UnsafeRawBufferPointer, path: UnsafeRawBufferPointer) -> Int {
        var hash = LabelHash()
        var wildcard = Self.noService
        var index = name.count - 1
        while index >= 0 {
            let byte = Self.lowercased(name[index])
            // The suffix after a dot matches a wildcard when at least one byte stands before that dot.
            if hasWildcards && byte == UInt8(ascii: ".") && index > 0 {
                let suffix = UnsafeRawBufferPointer(rebasing: name[(index + 1)...])
                let node = child(of: Node.wildcardHosts, suffix, hash.value(under: Node.wildcardHosts), isHost: true)
                if node >= 0 {
                    let service = service(under: node, path: path)
                    if service != Self.noService { wildcard = service }
                }
            }
            hash.combine(byte)
            index -= 1
        }
        let node = child(of: Node.exactHosts, name, hash.value(under: Node.exactHosts), isHost: true)
        if node >= 0 {
            let service = service(under: node, path: path)
            if service != Self.noService { return service }
        }
        return wildcard
    }

    /// The service of the longest prefix of `path` under a host's node.
    private func service(under host: Int32, path: UnsafeRawBufferPointer) -> Int {
        var node = host
        var found = services[Int(node)]
        var start = 1
        while start < path.count {
            var hash = LabelHash()
            var end = start
            while end < path.count && path[end] != UInt8(ascii: "/") {
                hash.combine(path[end])
                end += 1
            }
            let segment = UnsafeRawBufferPointer(rebasing: path[start..<end])
            node = child(of: node, segment, hash.value(under: node), isHost: false)
            if node < 0 { break }
            if services[Int(node)] >= 0 { found = services[Int(node)] }
            start = end + 1
        }
        return Int(found)
    }

    private func child(of parent: Int32, _ label: UnsafeRawBufferPointer, _ hash: UInt32, isHost: Bool) -> Int32 {
        var slot = Int(hash) & (edges.count - 1)
        while edges[slot].parent != Edge.empty.parent {
            let edge = edges[slot]
            if edge.hash == hash && edge.parent == parent && Int(edge.length) == label.count {
                var same = true
                for index in 0..<label.count {
                    let byte = isHost ? Self.lowercased(label[index]) : label[index]
                    if byte != labels[Int(edge.offset) + index] {
                        same = false
                        break
                    }
                }
                if same { return edge.child }
            }
            slot = (slot + 1) & (edges.count - 1)
        }
        return -1
    }

    /// RFC 1035, section 2.3.4: 255 octets, in text one less; a longer one matches only the routes for every host.
    private static let longestHost = 254

    /// `host` without port, brackets and the dot of an absolute name.
    private static func hostName(_ host: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        if host.first == UInt8(ascii: "[") {
            let end = host.firstIndex(of: UInt8(ascii: "]")) ?? host.count
            return UnsafeRawBufferPointer(rebasing: host[1..<end])
        }
        var end = host.firstIndex(of: UInt8(ascii: ":")) ?? host.count
        if end > 0 && host[end - 1] == UInt8(ascii: ".") { end -= 1 }
        return UnsafeRawBufferPointer(rebasing: host[..<end])
    }

    @inline(__always) fileprivate static func lowercased(_ byte: UInt8) -> UInt8 {
        byte &- 0x41 < 26 ? byte | 0x20 : byte
    }
}

/// From `parent` by a host name or a path segment to `child`.
private struct Edge {
    var parent: Int32
    var child: Int32
    var hash: UInt32
    var offset: UInt32
    var length: UInt32

    static let empty = Edge(parent: .min, child: 0, hash: 0, offset: 0, length: 0)
}

private enum Node {
    /// The first node: the paths of the routes for every host.
    static let anyHost: Int32 = 0
    /// Where exact and wildcard hosts hang; no nodes themselves.
    static let exactHosts: Int32 = -1
    static let wildcardHosts: Int32 = -2
}

/// FNV-1a, finished with the parent and a multiplication. The table's entries come from the operator, so that nobody
/// who sends requests can make it degenerate.
private struct LabelHash {
    private var state: UInt32 = 0x811C_9DC5

    @inline(__always) mutating func combine(_ byte: UInt8) { state = (state ^ UInt32(byte)) &* 0x0100_0193 }

    @inline(__always) func value(under parent: Int32) -> UInt32 {
        let mixed = (state ^ UInt32(bitPattern: parent) &* 0x9E37_79B9) &* 0x85EB_CA6B
        return mixed ^ (mixed >> 15)
    }
}

private struct Builder {
    var services: [Int32] = [Int32(RouteTable.noService)]
    var edges: [Edge] = []
    var labels: [UInt8] = []
    var hasWildcards = false
    private var index: [Key: Int32] = [:]

    private struct Key: Hashable {
        var parent: Int32
        var label: [UInt8]
    }

    mutating func add(_ route: Route, service: Int32) {
        guard let path = NormalPath.normalise(route.pathPrefix) else { return }
        var node = hostNode(route.host)
        for segment in path.utf8.split(separator: UInt8(ascii: "/")) {
            node = child(of: node, label: Array(segment), backwards: false)
        }
        if services[Int(node)] == Int32(RouteTable.noService) { services[Int(node)] = service }
    }

    private mutating func hostNode(_ host: String?) -> Int32 {
        guard let host, !host.isEmpty, host != "*" else { return Node.anyHost }
        var name = host.utf8.map(RouteTable.lowercased)
        if name.first == UInt8(ascii: "["), name.last == UInt8(ascii: "]") { name = Array(name.dropFirst().dropLast()) }
        if name.last == UInt8(ascii: ".") { name.removeLast() }
        if name.starts(with: "*.".utf8) {
            hasWildcards = true
            return child(of: Node.wildcardHosts, label: Array(name.dropFirst(2)), backwards: true)
        }
        return child(of: Node.exactHosts, label: name, backwards: true)
    }

    private mutating func child(of parent: Int32, label: [UInt8], backwards: Bool) -> Int32 {
        let key = Key(parent: parent, label: label)
        if let known = index[key] { return known }
        let node = Int32(services.count)
        services.append(Int32(RouteTable.noService))
        index[key] = node
        var hash = LabelHash()
        if backwards { label.reversed().forEach { hash.combine($0) } } else { label.forEach { hash.combine($0) } }
        edges.append(
            Edge(
                parent: parent, child: node, hash: hash.value(under: parent), offset: UInt32(labels.count),
                length: UInt32(label.count)))
        labels += label
        return node
    }
}
