# A static program and nothing else.
# docker build -f docs/recipes/docker/scratch.Dockerfile .      (in the source of Plimsoll)
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
RUN gcc -O2 -static -o /service /service.c -I/out/usr/include /out/usr/lib/libplimsoll.a -pthread

FROM scratch
COPY --from=build /service /service
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/service"]
