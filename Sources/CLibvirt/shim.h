// What of libvirt's C interface Swift cannot express itself.
#ifndef CLIBVIRT_SHIM_H
#define CLIBVIRT_SHIM_H

#include <stddef.h>

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

// Every kind of event is registered through one type of function; the casts below are those that libvirt documents.
typedef void (*clibvirt_lifecycle_function)(
    virConnectPtr connection, virDomainPtr domain, int event, int detail, void *context);

typedef void (*clibvirt_job_function)(
    virConnectPtr connection, virDomainPtr domain, virTypedParameterPtr values, int count, void *context);

static inline int clibvirt_register_lifecycle(
    virConnectPtr connection, clibvirt_lifecycle_function function, void *context, virFreeCallback release) {
    return virConnectDomainEventRegisterAny(
        connection, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(function), context, release);
}

static inline int clibvirt_register_job_completed(
    virConnectPtr connection, clibvirt_job_function function, void *context, virFreeCallback release) {
    return virConnectDomainEventRegisterAny(
        connection, NULL, VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, VIR_DOMAIN_EVENT_CALLBACK(function), context, release);
}

// Errors reach the caller as values; libvirt would print each of them as well.
static inline void clibvirt_ignore_error(void *context, virErrorPtr error) {
    (void)context;
    (void)error;
}

static inline void clibvirt_silence_errors(void) { virSetErrorFunc(NULL, clibvirt_ignore_error); }

#endif
