# An unchanged program with the library preloaded; without a shell, and not as root.
# docker build -f docs/recipes/docker/distroless.Dockerfile .   (in the source of Plimsoll)
FROM debian:bookworm-slim AS plimsoll
RUN apt-get update && \
    apt-get install -y --no-install-recommends gcc libc6-dev binutils pkg-config meson ninja-build libjemalloc-dev \
        libcgroup-dev libjansson-dev libncurses-dev libmicrohttpd-dev && \
    rm -rf /var/lib/apt/lists/*
COPY meson.build meson_options.txt LICENSE /source/
COPY include /source/include
COPY src /source/src
COPY docs/meson.build /source/docs/meson.build
COPY docs/man /source/docs/man
RUN meson setup /build /source --prefix=/usr --libdir=lib -Dtests=false -Dcommand=enabled && \
    DESTDIR=/out meson install -C /build --quiet

FROM plimsoll AS build
COPY docs/recipes/docker/service.c /service.c
RUN gcc -O2 -o /service /service.c -I/out/usr/include -pthread && mkdir /records

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=plimsoll /out/usr/lib/libplimsoll.so.0 /usr/lib/libplimsoll.so.0
COPY --from=build /service /service
# For PLIMSOLL_RECORD: a volume that is mounted here takes over the owner of this directory.
COPY --from=build --chown=65532:65532 /records /var/lib/plimsoll
# ENV sets it for every process of the container, even those that kubectl exec starts.
ENV LD_PRELOAD=libplimsoll.so.0
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/service"]
