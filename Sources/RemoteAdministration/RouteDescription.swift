/// A route as others see it: for the reference, and for the tests that walk all routes.
package struct RouteDescription: Hashable, Sendable {
    package var name: String
    package var method: String
    package var path: String
    /// `open`, `own`, `read`, `operate` or `administer`.
    package var right: String
    package var summary: String
    package var queryParameters: [String]
    package var answerStatus: Int
    package var errorStatuses: [Int]
    package var needsIfMatch: Bool
    /// It can be tried without changing anything.
    package var isTrial: Bool
    package var isRepeatable: Bool
    package var hasBody: Bool

    init(_ route: Route) {
        name = route.name
        method = route.method.rawValue
        path = route.path
        right = route.right.rawValue
        summary = route.summary
        queryParameters = route.query.map(\.name)
        answerStatus = route.answer.status
        errorStatuses = route.errors
        needsIfMatch = route.needsIfMatch
        isTrial = route.isTrial
        isRepeatable = route.isRepeatable
        hasBody = route.body != nil
    }

    /// All routes, in the order of the reference.
    package static let all = RouteTable.all.map(RouteDescription.init)
}
