// What the linker puts before libvirt's calls into GLib; see repair.c. Nothing here is called by name.
