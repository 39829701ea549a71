# A service from Debian's packages, not rebuilt, with the library preloaded: here Redis.
# docker build -f docs/recipes/docker/slim.Dockerfile .         (in the source of Plimsoll)
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

FROM debian:bookworm-slim
RUN apt-get update && \
    apt-get install -y --no-install-recommends redis-server && \
    rm -rf /var/lib/apt/lists/*
COPY --from=plimsoll /out/usr/lib/libplimsoll.so.0 /usr/lib/libplimsoll.so.0
ENV LD_PRELOAD=libplimsoll.so.0
USER redis
EXPOSE 6379
ENTRYPOINT ["redis-server", "--save", "", "--appendonly", "no", "--dir", "/tmp"]
