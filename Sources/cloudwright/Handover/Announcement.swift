import Foundation

/// What the platform writes to its announce file: where it is reached, and by whom it is served.
struct Announcement: Codable {
    var processID: Int32
    var gateway: [String]
    var administration: String
    /// Why the last attempt to pass the platform on came to nothing.
    var refusedUpgrade: RefusedUpgrade?

    struct RefusedUpgrade: Codable {
        var reason: String
        /// Tells one attempt from the next.
        var at: Date
    }
}
