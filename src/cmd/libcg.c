/* libcgroup, see libcg.h. */
#include "libcg.h"

#include <errno.h>
#include <libcgroup.h>
#include <stdlib.h>
#include <string.h>

static int libcg_errno(int error)
{
    switch (error) {
    case 0:
        return 0;
    case ECGOTHER: {
        int last = cgroup_get_last_errno();
        return last > 0 ? -last : -EIO;
    }
    case ECGROUPNOTOWNER:
    case ECGROUPNOTALLOWED:
        return -EACCES;
    case ECGROUPVALUENOTEXIST:
    case ECGROUPNOTEXIST:
        return -ENOENT;
    case ECGROUPNOTMOUNTED:
    case ECGROUPSUBSYSNOTMOUNTED:
        return -ENODEV;
    case ECGNONEMPTY:
        return -EBUSY;
    default:
        return -EIO;
    }
}

int libcg_init(void)
{
    return libcg_errno(cgroup_init());
}

int libcg_check_mount(const char *controller, const char *mount, size_t mount_len)
{
    char *found = NULL;
    int rc = libcg_errno(cgroup_get_subsys_mount_point(controller, &found));
    if (rc == 0 && (strlen(found) != mount_len || memcmp(found, mount, mount_len) != 0))
        rc = -ENODEV;
    free(found);
    return rc;
}

/* A cgroup in memory with one controller; NULL where there is no memory. */
static struct cgroup *group_new(const char *name, const char *controller,
                                struct cgroup_controller **ret_controller)
{
    struct cgroup *group = cgroup_new_cgroup(name);
    if (group == NULL)
        return NULL;
    *ret_controller = cgroup_add_controller(group, controller);
    if (*ret_controller == NULL)
        cgroup_free(&group); /* leaves NULL */
    return group;
}

int libcg_set(const char *name, const struct libcg_value *values, size_t count,
              const struct libcg_value **ret_failed)
{
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        struct cgroup_controller *controller;
        struct cgroup *group = group_new(name, values[i].controller, &controller);
        *ret_failed = &values[i];
        if (group == NULL)
            return -ENOMEM;
        rc = libcg_errno(cgroup_add_value_string(controller, values[i].file, values[i].text));
        if (rc == 0)
            rc = libcg_errno(cgroup_modify_cgroup(group));
        cgroup_free(&group);
    }
    return rc;
}

int libcg_attach(const char *name, const char *controller, pid_t pid)
{
    struct cgroup_controller *unused;
    struct cgroup *group = group_new(name, controller, &unused);
    if (group == NULL)
        return -ENOMEM;
    int rc = libcg_errno(cgroup_attach_task_pid(group, pid));
    cgroup_free(&group);
    return rc;
}

int libcg_remove(const char *name, const char *controller)
{
    struct cgroup_controller *unused;
    struct cgroup *group = group_new(name, controller, &unused);
    if (group == NULL)
        return -ENOMEM;
    int rc = libcg_errno(cgroup_delete_cgroup_ext(group, CGFLAG_DELETE_EMPTY_ONLY));
    cgroup_free(&group);
    return rc;
}
