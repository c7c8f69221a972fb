/// What an address is counted as where guesses are counted: an IPv4 address as itself, an IPv6 address as its /64,
/// since a host has all of that to itself.
public enum SourceNetwork {
    /// `address` is in text, without port.
    public static func of(_ address: String) -> String {
        guard address.contains(":") else { return address }
        let withoutZone = address.prefix { $0 != "%" }
        var halves: [Substring] = []
        if let gap = withoutZone.firstRange(of: "::") {
            halves = [withoutZone[..<gap.lowerBound], withoutZone[gap.upperBound...]]
        } else {
            halves = [withoutZone]
        }
        var groups = halves[0].split(separator: ":").map(String.init)
        if halves.count > 1 {
            let last = halves[1].split(separator: ":").map(String.init)
            groups += Array(repeating: "0", count: max(0, 8 - groups.count - last.count)) + last
        }
        return groups.prefix(4).joined(separator: ":") + "::/64"
    }
}
