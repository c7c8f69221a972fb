import Glibc

/// Threads of the system for work that blocks: the pool of Swift's tasks is too small for it.
enum OwnThread {
    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    private static func start(_ body: @escaping @Sendable () -> Void) throws(LoadClientError) -> pthread_t {
        var thread = pthread_t()
        let argument = Unmanaged.passRetained(Body(body))
        let failure = pthread_create(
            &thread, nil,
            { argument in
                if let argument { Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
                return nil
            }, argument.toOpaque())
        guard failure == 0 else {
            argument.release()
            throw LoadClientError(.system, "no thread: \(Socket.describe(failure))")
        }
        return thread
    }

    /// Runs `body` for 0..<count, each on a thread, and waits for all.
    static func runAll(
        _ count: Int, _ body: @escaping @Sendable (Int) -> Void, orAbandon abandon: () -> Void
    ) throws(LoadClientError) {
        var threads: [pthread_t] = []
        var failure: LoadClientError?
        for number in 0..<count {
            do throws(LoadClientError) {
                threads.append(try start { body(number) })
            } catch {
                failure = error
                abandon()
                break
            }
        }
        for thread in threads { pthread_join(thread, nil) }
        if let failure { throw failure }
    }

    static func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            do {
                let thread = try start { continuation.resume(with: Result(catching: body)) }
                pthread_detach(thread)
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }
}
