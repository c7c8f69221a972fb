import CLibvirt
import Glibc

/// libvirt's own event loop: one a process, started with the first connection. Keepalive and events need it.
enum LibvirtEventLoop {
    private static let started: Bool = {
        guard virInitialize() == 0 else { return false }
        clibvirt_silence_errors()
        guard virEventRegisterDefaultImpl() == 0 else { return false }
        // The loop sleeps until a watch or a timer is due. A timer that does nothing keeps it from spinning on an
        // empty set, which the default implementation reports as an error.
        guard virEventAddTimeout(60_000, { _, _ in }, nil, nil) >= 0 else { return false }
        return BlockingCalls.startThread {
            while true {
                if virEventRunDefaultImpl() < 0 { usleep(10_000) }
            }
        }
    }()

    /// False where libvirt cannot be initialised at all.
    static func start() -> Bool { started }
}
