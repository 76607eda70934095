/* Tracing where there is no Windows. */
#include "depwalk.h"

int32_t dw_debug_wait(dw_event *event, uint32_t milliseconds, uint32_t *code)
{
    (void)milliseconds;
    event->kind = DW_EVENT_OTHER;
    *code = 0;
    return DW_NOT_HERE;
}

int32_t dw_debug_continue(const dw_event *event, uint32_t handled, uint32_t *code)
{
    (void)event;
    (void)handled;
    *code = 0;
    return DW_NOT_HERE;
}

int32_t dw_debug_snaps(uint32_t process, uint32_t *code)
{
    (void)process;
    *code = 0;
    return DW_NOT_HERE;
}

int32_t dw_watch(dw_event *room, void *file)
{
    (void)room;
    (void)file;
    return DW_NOT_HERE;
}
